// Package backend says what a processor has to be able to do for kernels: the seam between the drivers, which run on every machine,
// and the loops that are written for one.
//
// A [Table] has an entry for each: multipliers by the types of A, B and their sums ([Products]), engines of convolution and pooling and
// functions over rows ([Engines]), the primitives of strips by type and form ([Vecs]), transpositions ([Planes]). Package plain fills it
// whole, in plain Go. A [Level] of an instruction set then puts in what it has, which may be a single entry:
//
//	mine := backend.Level{Name: "mine", Fill: func(t *backend.Table) {
//		t.F32.Rows.Scale = func(y []float32, ld, rows, n int, scale []float32) {
//			fmt.Println("scales", rows, "rows")
//		}
//	}}
//	t := plain.New()
//	mine.Fill(t)
//	y, sums := []float32{1, 2, 3, 4}, make([]float32, 2)
//	t.F32.Rows.Scale(y, 2, 2, 2, sums)
//	t.F32.Rows.Reduce[backend.Sum](y, 2, 2, 2, sums)
//	fmt.Println(sums)
//
// scales in its own way, adds up in plain Go, and prints
//
//	scales 2 rows
//	[3 7]
//
// So a level takes a file that has the code, a function that puts it into a table, and a line in package level. A test there runs every
// entry of every level against plain Go.
//
// The ops have one vocabulary for all: [UnaryOp], [BinaryOp] and their kind say their names in graphs and the kinds of elements that they
// are primitives for.
//
// # Contract
//
// Slices may be longer than the shape asks for; a slice that is too short panics before any work starts. Outputs must not overlap
// inputs unless an entry says so. Entries keep nothing from call to call, do not allocate, and may be called from several goroutines. A
// row of a result does not depend on how many others there are. NaN and Inf propagate as in IEEE 754: zero multiplicands are never
// skipped. (The sign and payload of a NaN are not specified.)
package backend
