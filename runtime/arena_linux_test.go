package runtime

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/ops"
)

// TestUnmapped wants the memory of a session's arenas back once the session is gone, frames and all.
func TestUnmapped(t *testing.T) {
	at := func() uintptr {
		m := graph.NewModule("m")
		f := m.Func("f")
		x := f.Input("x", graph.F32, "N", 64)
		f.Return("y", ops.ReduceSum(ops.Softmax(ops.MatMul(x, ops.Transpose(x, 1, 0)), 1), []int{1}, false))
		p, err := compile.Compile(m)
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewSession(p)
		if err != nil {
			t.Fatal(err)
		}
		feed, err := value.New(value.F32, 1<<10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Run(context.Background(), "f", map[string]value.Value{"x": feed}); err != nil {
			t.Fatal(err)
		}
		a := s.arenas[0]
		if len(a.mem) < mappedSize || len(a.frames) == 0 {
			t.Fatalf("the arena has %d bytes and %d frames", len(a.mem), len(a.frames))
		}
		return uintptr(unsafe.Pointer(unsafe.SliceData(a.mem)))
	}()
	for range 100 {
		runtime.GC()
		if !isMapped(t, at) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the arena is still there")
}

// isMapped reports whether the process has memory at an address.
func isMapped(t *testing.T, at uintptr) bool {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Skip(err)
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to uintptr
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x", &from, &to); err != nil {
			t.Fatal(err)
		}
		if from <= at && at < to {
			return true
		}
	}
	return false
}
