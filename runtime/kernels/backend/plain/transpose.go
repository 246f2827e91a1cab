package plain

// Transpose is a backend.Transpose.
func Transpose[T any](y []T, ldy int, x []T, ldx, rows, cols int) {
	for r := range rows {
		run, k := y[r*ldy:][:cols], r
		for c := range run {
			run[c] = x[k]
			k += ldx
		}
	}
}
