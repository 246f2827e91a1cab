package graph

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSmoke(t *testing.T) {
	text := `graphrun 1
module @lenet5
meta "classes" = "0,1,2"

var @fc.weight: f32[3,5] = init(%key: u64[2]) {
  %0 = test_random %key {shape=[3,5], stream=7} : f32[3,5]
  return value: %0
}
var @step: i64[] {trainable=false} = init(%key: u64[2]) {
  %0 = constant {value=i64[] [0]} : i64[]
  return value: %0
}

func @train(%image: f32[N,1,28,28], %label: i64[N]) {
  %0 = read {var=@fc.weight} : f32[3,5]
  %h, %1 = test_pair %image : f32[N,1,28,28], i64[]
  %2 = constant {value=f32[2,2] [1, 2, 3, 4]} : f32[2,2]
  %3, %4 = test_apply %h, %1 region(%c: f32[N,1,28,28], %d: i64[]) {
    %0 = test_add %c, %c : f32[N,1,28,28]
    %1 = test_apply %0 region(%0: f32[N,1,28,28]) {
      return 0: %0
    } : f32[N,1,28,28]
    return 0: %1, 1: %d
  } : f32[N,1,28,28], i64[]
  %5 = test_attrs {bool=true, dims=[2,3], dtype=bf16, float=0.1, floats=[], int=-7, ints=[1,-2], string="a\"}\n", symbol=@w.0, tensor=f32[] [1.5], type=token} : token
  update @fc.weight = %0
  return loss: %3, step: %4
}
`
	m, err := Parse("x.graph", []byte(text), ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(text, m.String()); d != "" {
		t.Error(d)
	}
	var b strings.Builder
	Print(&b, m, PrintOptions{Locations: true})
	t.Log(b.String())
	m, err = Parse("y.graph", []byte(b.String()), ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var c strings.Builder
	Print(&c, m, PrintOptions{Locations: true})
	if d := cmp.Diff(b.String(), c.String()); d != "" {
		t.Error(d)
	}
	for _, n := range m.Funcs()[0].Nodes() {
		t.Log(n)
	}
}
