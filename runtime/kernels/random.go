package kernels

import (
	"math"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/philox"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime/kernels/backend"
)

func init() {
	for _, d := range []graph.DType{graph.F32, graph.F64} {
		match := func(s *Signature) bool { return s.DType("dtype") == d }
		uniform, gauss := uniform32, normal[float32]
		if d == graph.F64 {
			uniform, gauss = uniform64, normal[float64]
		}
		register(
			&Kernel{Op: "random_uniform", DTypes: graph.DTypes(graph.U64), Match: match, Bind: uniform},
			&Kernel{Op: "random_normal", DTypes: graph.DTypes(graph.U64), Match: match, Bind: gauss},
		)
	}
}

// draw returns the Func that calls do for the blocks of random words that the elements of a result take, per of them a block; see
// ops/random.go for what words those are. The reference refuses more blocks than there are.
func draw(s *Spec, per, work int, do func(c *Call, block int, w [4]uint32)) (Func, error) {
	n := count(s.OutTypes[0])
	blocks := backend.CeilDiv(n, per)
	if blocks > math.MaxUint32 {
		return byReference(s)
	}
	stream := uint32(s.Int("stream"))
	return inRanges(blocks, work, func(c *Call, _, lo, hi int) {
		key := elems[uint64](c.In[0])
		seed, call := [2]uint32{uint32(key[0]), uint32(key[0] >> 32)}, key[1]
		for b := lo; b < hi; b++ {
			do(c, b, philox.Philox(seed, [4]uint32{uint32(b), stream, uint32(call), uint32(call >> 32)}))
		}
	}), nil
}

// uniformTo returns the bounds of uniform numbers, their distance, and the largest number below high.
func uniformTo(s *Spec) (low, width, last float64) {
	low, high := s.Float("low"), s.Float("high")
	if last = value.FloatBelow(s.DType("dtype"), high); high <= low {
		last = math.Inf(1)
	}
	return low, high - low, last
}

func uniform32(s *Spec) (Func, error) {
	low, width, last := uniformTo(s)
	return draw(s, 4, 20, func(c *Call, block int, w [4]uint32) {
		y := elems[float32](c.Out[0])[4*block:]
		for i := range min(4, len(y)) {
			y[i] = float32(min(low+float64(philox.Uniform01Float32(w[i]))*width, last))
		}
	})
}

func uniform64(s *Spec) (Func, error) {
	low, width, last := uniformTo(s)
	return draw(s, 2, 20, func(c *Call, block int, w [4]uint32) {
		y := elems[float64](c.Out[0])[2*block:]
		for i := range min(2, len(y)) {
			y[i] = min(low+philox.Uniform01Float64(w[2*i], w[2*i+1])*width, last)
		}
	})
}

func normal[T backend.Float](s *Spec) (Func, error) {
	mean, std := s.Float("mean"), s.Float("std")
	return draw(s, 4, 100, func(c *Call, block int, w [4]uint32) {
		y := elems[T](c.Out[0])[4*block:]
		var z [4]float64
		z[0], z[1] = philox.Normals(w[0], w[1])
		z[2], z[3] = philox.Normals(w[2], w[3])
		for i := range min(4, len(y)) {
			y[i] = T(mean + std*z[i])
		}
	})
}
