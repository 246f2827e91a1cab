package runtime

import (
	"syscall"
	"unsafe"
)

const (
	hugePage   = 2 << 20
	adviseHuge = 14 // MADV_HUGEPAGE
)

// mapMemory returns anonymous memory, from a multiple of 2 MiB on, where the system gives pages of that size: they make up for
// much of the cost of address translation in large tensors. whole is what unmapMemory takes.
func mapMemory(size int) (mem, whole []byte, err error) {
	whole, err = syscall.Mmap(-1, 0, size+hugePage, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, nil, err
	}
	_ = syscall.Madvise(whole, adviseHuge) // a hint: without it there are small pages
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(whole))) & (hugePage - 1))
	return whole[skip : skip+size], whole, nil
}

func unmapMemory(mem []byte) { _ = syscall.Munmap(mem) }
