package plan

import (
	"slices"

	"github.com/graphrun/graphrun/runtime/program"
)

// Traffic returns the bytes that the instructions of a function move: each reads its operands, once each, and writes
// its results. It is what fusion saves. ok is false if some size is not affine in the symbol.
func Traffic(f *program.Func, symbol string) (moved program.Affine, ok bool) {
	add := func(slot int) bool {
		size, ok := SizeOf(f.Slots[slot].Type, symbol)
		moved.Per += size.Per
		moved.Fixed += size.Fixed
		return ok
	}
	for i := range f.Instrs {
		ins := &f.Instrs[i]
		if ins.Alias() {
			continue
		}
		for k, s := range ins.In {
			if !slices.Contains(ins.In[:k], s) && !add(s) {
				return moved, false
			}
		}
		for _, s := range ins.Out {
			if f.Slots[s].Place != program.Omitted && !add(s) {
				return moved, false
			}
		}
	}
	return moved, true
}
