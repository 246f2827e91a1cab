package value_test

import (
	"runtime/debug"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/graph/value"
)

// TestMemory asks for tensors that fit into no machine, and for one that a limit forbids.
func TestMemory(t *testing.T) {
	if m := value.Memory(); m < 1<<20 {
		t.Errorf("there are %d bytes of memory", m)
	}
	shape := []int{1 << 43} // not so large that it cannot be addressed
	if _, err := value.New(value.U8, shape...); err == nil || !strings.HasPrefix(err.Error(), "u8[8796093022208] is too large") {
		t.Errorf("8 TiB: %v", err)
	}
	if _, err := value.TryExact(value.Bool, []int{1 << 40, 0}); err == nil { // loops over the first axis would not end
		t.Error("a walk over 2^40 places is accepted")
	}
	if _, err := value.New(value.Bool, 1<<40, 0); err != nil {
		t.Errorf("no elements: %v", err)
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 29))
	if _, err := value.New(value.F32, 1<<20, 1<<10); err == nil || err.Error() != "f32[1048576,1024] is too large: it takes 4.0 GiB, there are 512.0 MiB of memory" {
		t.Errorf("have %v", err)
	}
	if _, err := value.TryExact(value.I4, []int{1 << 27}); err == nil { // 64 MiB packed, 1 GiB spread out
		t.Error("1 GiB fits into 512 MiB")
	}
}

func TestByteText(t *testing.T) {
	for n, want := range map[float64]string{0: "0 bytes", 1023: "1023 bytes", 1536: "1.5 KiB", 1 << 40: "1.0 TiB", 1 << 62: "4096.0 PiB"} {
		if got := value.ByteText(n); got != want {
			t.Errorf("%g is %s, want %s", n, got, want)
		}
	}
}
