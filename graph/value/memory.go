package value

import (
	"bytes"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/graphrun/graphrun/graph/errfmt"
)

// Memory returns how many bytes this process can hope to use: the least of the machine's memory, its cgroup's limit and
// GOMEMLIMIT, as far as the system tells. A single tensor beyond it is refused, since the Go runtime answers an allocation
// that the system refuses by ending the process.
func Memory() int {
	limit := machineMemory()
	if soft := debug.SetMemoryLimit(-1); soft < int64(limit) {
		return int(soft)
	}
	return limit
}

// ReadLimit returns how many bytes readers of files hold at most of what they read, where the files are not trusted: half of Memory, since
// there are two copies where storage grows, or elements are put into another order.
func ReadLimit() int { return Memory() / 2 }

var machineMemory = sync.OnceValue(func() int {
	limit := maxBytes
	if text, err := readSmall("/proc/meminfo"); err == nil {
		if total := meminfo(text, "MemTotal:"); total > 0 {
			limit = min(limit, total+meminfo(text, "SwapTotal:"))
		}
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := readSmall(file)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64); err == nil && n > 0 && n < uint64(limit) {
			limit = int(n)
		}
	}
	return limit
})

// readSmall returns the first few kB of a file of the system. os.ReadFile knows files of any size, for 4 kB of a service.
func readSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text := make([]byte, 8192)
	n, err := f.Read(text)
	return text[:n], err
}

// meminfo returns an entry of /proc/meminfo in bytes, 0 if there is none.
func meminfo(text []byte, key string) int {
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte(key)); ok {
			kib, err := strconv.Atoi(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))))
			if err == nil && kib >= 0 && kib <= math.MaxInt/1024 {
				return kib * 1024
			}
		}
	}
	return 0
}

// smallTensor is the size in bytes below which an allocation is not held against Memory.
const smallTensor = 1 << 28

// checkMemory refuses n elements of a dtype and shape, at width bits each, that cannot fit into memory.
func checkMemory(dt DType, shape []int, n, width int) error {
	size := float64(n) * float64(width) / 8
	if size < smallTensor {
		return nil
	}
	if have := Memory(); size > float64(have) {
		return errfmt.Errorf("%s is too large: it takes %s, there are %s of memory", typeString(dt, shape), ByteText(size), ByteText(float64(have)))
	}
	return nil
}

// CheckWalk refuses a shape without elements that is too large to compute on: what walks over the places of its other axes, or keeps a
// number for each, must end and fit into memory.
func CheckWalk(dt DType, shape ...int) error {
	if !slices.Contains(shape, 0) {
		return nil
	}
	places := 1.0
	for _, d := range shape {
		places *= float64(max(d, 1))
	}
	if size := 8 * places; size >= smallTensor && size > float64(Memory()) {
		return errfmt.Errorf("%s is too large, though it is empty: its other axes have %.0f places", typeString(dt, shape), places)
	}
	return nil
}

// ByteText is a size as a message shows it, such as "1.5 GiB".
func ByteText(n float64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for n >= 1024 && i < len(units)-1 {
		n /= 1024
		i++
	}
	return strconv.FormatFloat(n, 'f', min(i, 1), 64) + " " + units[i]
}

// Few lists the first few of many names, or of what else a message lists.
func Few(list []string) string {
	const most = 5
	if more := len(list) - most; more > 1 {
		list = append(slices.Clone(list[:most]), strconv.Itoa(more)+" more")
	}
	return strings.Join(list, ", ")
}
