//go:build amd64 && !noasm

package avx

import (
	"golang.org/x/sys/cpu"

	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

// Levels returns the levels that this processor has, the best first.
func Levels() []backend.Level {
	x := &cpu.X86
	if !x.HasAVX2 || !x.HasFMA || !x.HasBMI2 {
		return nil
	}
	levels := []backend.Level{{Name: AVX2, Fill: func(t *backend.Table) { fill(t, false) }}}
	if x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512BW {
		levels = append([]backend.Level{{Name: AVX512, Fill: func(t *backend.Table) { fill(t, true) }}}, levels...)
	}
	return levels
}

// fill puts the kernels of AVX-512, if wide, or AVX2 into a table.
func fill(t *backend.Table, wide bool) {
	fillProducts(&t.Products, wide)
	fillConv(t, wide)
	t.F32.Pool, t.F64.Pool = &quadsF32, &quadsF64
	fillRows(&t.F32.Rows, wide)
	t.Planes.W32, t.Planes.W64 = transpose32, transpose64
	fillVecs(&t.Vecs.F32, &vecF32, wide)
	fillVecs(&t.Vecs.F64, &vecF64, wide)
	t.Vecs.I32.Select, t.Vecs.I64.Select = t.Vecs.F32.Select, t.Vecs.F64.Select // bits are moved, whatever they mean
	t.Peak = func() float64 { return peak(wide) }
}
