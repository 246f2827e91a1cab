// Package philox is the counter-based random generator Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel Random
// Numbers: As Easy as 1, 2, 3" (2011): a keyed bijection of 128-bit counters whose outputs are independent uniform words.
// Draws are a function of (key, counter) alone, whatever computes them.
//
//	key := [2]uint32{42, 0}
//	for i := range uint32(3) {
//		w := philox.Philox(key, [4]uint32{i})
//		n0, n1 := philox.Normals(w[2], w[3])
//		fmt.Printf("%d: %08x  uniform %.4f  normal %+.4f %+.4f\n", i, w, philox.Uniform01(w[0]), n0, n1)
//	}
//
// prints
//
//	0: [9ceaf053 77f5493b 12bf50ad 5742b3d7]  uniform 0.6130  normal -1.2356 +1.9239
//	1: [fcdb2127 53ba6cfd 838f5a6e 744e06fb]  uniform 0.9877  normal -1.1067 +0.3267
//	2: [d36c0225 a8875dcb 9a4d6d99 c609a559]  uniform 0.8259  normal +0.1486 -0.9952
//
// and would print the same line 2 if it began there. Random ops so draw the same numbers on any number of threads, and
// again when a run is resumed.
//
// The generator is made for simulation: do not draw secrets from it.
package philox
