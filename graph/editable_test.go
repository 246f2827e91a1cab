package graph

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEditable prints a text in which no value has the number of a size, and which reads back as the same module.
func TestEditable(t *testing.T) {
	m := mustParse(t, `graphrun 2
module @m
var @w: f32[3] = init(%key: u64[2]) {
  %0 = test_random %key {shape=[3], stream=1} : f32[3]
  return value: %0
}
func @f(%x: f32[N*4]) {
  %0 = read {var=@w} : f32[3]
  %1 = test_add %0, %0 : f32[3]
  %2 = test_add %1, %1 : f32[3]
  %3 = test_apply %2 region(%0: f32[3]) {
    %1 = test_add %0, %0 : f32[3]
    return 0: %1
  } : f32[3]
  %4 = test_add %3, %3 : f32[3]
  return y: %4, x: %x
}
`)
	var b strings.Builder
	if err := Print(&b, m, PrintOptions{Editable: true}); err != nil {
		t.Fatal(err)
	}
	if taken := regexp.MustCompile(`%[1234]\b`).FindString(b.String()); taken != "" {
		t.Errorf("the value %s has the number of a size:\n%s", taken, &b)
	}
	if d := cmp.Diff(m.String(), mustParse(t, b.String()).String()); d != "" {
		t.Error(d)
	}
	edited := mustParse(t, regexp.MustCompile(`\b3\b`).ReplaceAllString(b.String(), "7"))
	if have := edited.LookupFunc("f").Results()[0].Value.Type().String(); have != "f32[7]" {
		t.Errorf("the edited text gives %s", have)
	}
}
