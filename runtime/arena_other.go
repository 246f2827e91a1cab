//go:build !linux

package runtime

// mapMemory returns nil: arenas are on the Go heap.
func mapMemory(int) (mem, whole []byte, err error) { return nil, nil, nil }

func unmapMemory([]byte) {}
