//go:build !arm64

package portable

const fused = false
