package main

import (
	"testing"

	"github.com/graphrun/graphrun/compile/optest"
)

// TestBump holds the op against its declaration with graphrun's own op test.
func TestBump(t *testing.T) {
	if err := optest.Check(bump); err != nil {
		t.Fatal(err)
	}
}
