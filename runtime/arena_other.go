//go:build !linux

package runtime

// mapMemory returns nil: arenas are on the Go heap.
func mapMemory(int) ([]byte, error) { return nil, nil }

func unmapMemory([]byte) {}
