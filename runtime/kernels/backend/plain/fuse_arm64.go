package plain

// fused says that the compiler fuses every x*y + z: on arm64 a product with one
// use always becomes part of an FMADD, because no other instruction can absorb
// it. (On amd64 with GOAMD64=v3 a multiplication by memory is not fused.)
const fused = true
