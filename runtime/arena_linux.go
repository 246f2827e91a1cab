package runtime

import "syscall"

const (
	hugePage   = 2 << 20
	adviseHuge = 14 // MADV_HUGEPAGE
)

// mapMemory returns anonymous memory, from a multiple of 2 MiB on, where the system gives pages of that size: they make up for
// much of the cost of address translation in large tensors.
func mapMemory(size int) ([]byte, error) {
	whole, err := syscall.Mmap(-1, 0, size+hugePage, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	_ = syscall.Madvise(whole, adviseHuge) // a hint: without it there are small pages
	return whole, nil
}

func unmapMemory(mem []byte) { _ = syscall.Munmap(mem) }
