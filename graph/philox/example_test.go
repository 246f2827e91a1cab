package philox_test

import (
	"fmt"

	"github.com/graphrun/graphrun/graph/philox"
)

// A draw is a function of the key and the counter: number 2 is the same whether or not those before it were drawn.
func Example() {
	key := [2]uint32{42, 0}
	for i := range uint32(3) {
		w := philox.Philox(key, [4]uint32{i})
		n0, n1 := philox.Normals(w[2], w[3])
		fmt.Printf("%d: %08x  uniform %.4f  normal %+.4f %+.4f\n", i, w, philox.Uniform01(w[0]), n0, n1)
	}
	fmt.Printf("2: %08x\n", philox.Philox(key, [4]uint32{2}))
	// Output:
	// 0: [9ceaf053 77f5493b 12bf50ad 5742b3d7]  uniform 0.6130  normal -1.2356 +1.9239
	// 1: [fcdb2127 53ba6cfd 838f5a6e 744e06fb]  uniform 0.9877  normal -1.1067 +0.3267
	// 2: [d36c0225 a8875dcb 9a4d6d99 c609a559]  uniform 0.8259  normal +0.1486 -0.9952
	// 2: [d36c0225 a8875dcb 9a4d6d99 c609a559]
}
