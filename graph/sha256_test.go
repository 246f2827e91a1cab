package graph

import (
	"crypto/sha256"
	"testing"
)

// TestSHA256 holds the checksum against the standard library's for all lengths around the size of a block, and a long one.
func TestSHA256(t *testing.T) {
	data := make([]byte, 1<<16+11)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	for n := range 300 {
		if have, want := sha256Sum(data[:n]), sha256.Sum256(data[:n]); have != want {
			t.Fatalf("%d bytes: have %x, want %x", n, have, want)
		}
	}
	if have, want := sha256Sum(data), sha256.Sum256(data); have != want {
		t.Fatalf("have %x, want %x", have, want)
	}
}
