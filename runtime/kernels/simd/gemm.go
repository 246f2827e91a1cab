package simd

//go:generate go run -C gen . -out ../gemm_amd64.s -stubs ../gemm_stubs_amd64.go -pkg simd -tables ../gemm_tables_amd64.go
