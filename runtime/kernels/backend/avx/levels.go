package avx

// The names of the levels.
const (
	AVX512 = "avx512"
	AVX2   = "avx2"
)

//go:generate go run -C gen . -out ../gemm_amd64.s -stubs ../gemm_stubs_amd64.go -pkg avx -tables ../gemm_tables_amd64.go
//go:generate go run -C gen ./conv -out ../conv_amd64.s -stubs ../conv_stubs_amd64.go -pkg avx -tables ../conv_tables_amd64.go
//go:generate go run -C gen ./rows -out ../rows_amd64.s -stubs ../rows_stubs_amd64.go -pkg avx -tables ../rows_tables_amd64.go
//go:generate go run -C gen ./vec -out ../vec_amd64.s -stubs ../vec_stubs_amd64.go -pkg avx -tables ../vec_tables_amd64.go
