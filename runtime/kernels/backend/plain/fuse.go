//go:build !arm64

package plain

const fused = false
