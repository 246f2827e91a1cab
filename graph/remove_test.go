package graph

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// trained has a function with an update that needs nodes of its own, nodes that nothing needs, and sizes that data decides.
const trained = `graphrun 2
module @m
var @w: f32[2] = init(%key: u64[2]) {
  %0 = test_random %key {shape=[2], stream=1} : f32[2]
  return value: %0
}
var @mean: f32[2] {trainable=false} = init(%key: u64[2]) {
  %0 = test_random %key {shape=[2], stream=2} : f32[2]
  return value: %0
}
var @lr: f32[2] {optimizer_state=true, trainable=false} = init(%key: u64[2]) {
  %0 = test_random %key {shape=[2], stream=3} : f32[2]
  return value: %0
}
func @helper(%x: f32[N]) {
  return x: %x
}
func @train(%x: f32[2]) {
  %0 = read {var=@w} : f32[2]
  %1 = test_add %0, %x : f32[2]
  %idle = test_add %1, %1 : f32[2]
  %rate = read {var=@lr} : f32[2]
  %2 = test_add %rate, %0 : f32[2]
  %3 = call %1 {func=@helper, results=1} : f32[2]
  update @w = %2
  update @mean = %3
  return y: %1
}
`

func TestDropUpdates(t *testing.T) {
	m := mustParse(t, trained)
	f := m.LookupFunc("train")
	before := m.Version()
	f.DropUpdates(func(Update) bool { return false })
	if m.Version() != before {
		t.Error("it is another version, though nothing is dropped")
	}
	f.DropUpdates(func(u Update) bool { return u.Var.Name() == "w" })
	if m.Version() == before {
		t.Error("the version stays, though an update is dropped")
	}
	want := `func @train(%x: f32[2]) {
  %0 = read {var=@w} : f32[2]
  %1 = test_add %0, %x : f32[2]
  %idle = test_add %1, %1 : f32[2]
  %2 = call %1 {func=@helper, results=1} : f32[2]
  update @mean = %2
  return y: %1
}
`
	if _, have, _ := strings.Cut(m.String(), "\n\nfunc @train"); !strings.HasPrefix(want, "func @train"+have) {
		t.Error(cmp.Diff(want, "func @train"+have))
	}
	if _, ok := f.Lookup("rate"); ok {
		t.Error("the name of a removed node is found")
	}
	if err := Verify(m); err != nil {
		t.Error(err)
	}
	if again := mustParse(t, m.String()); again.String() != m.String() {
		t.Error("the text reads back as another")
	}
}

func TestRemove(t *testing.T) {
	m := mustParse(t, trained)
	f := m.LookupFunc("train")
	wantFault := func(err error, want string) {
		t.Helper()
		if err == nil || err.Error() != want {
			t.Errorf("have %v, want %s", err, want)
		}
	}
	lr, mean := m.LookupVariable("lr"), m.LookupVariable("mean")
	wantFault(m.RemoveVariable(lr), "x.graph:22: read: @train reads @lr")
	wantFault(m.RemoveVariable(mean), "x.graph:24: update: @train updates @mean")
	wantFault(m.RemoveVariable(nil), "variable: the variable is none of the module")
	wantFault(m.RemoveFunc(m.LookupFunc("helper")), "x.graph:24: call: @train calls @helper")
	wantFault(m.RemoveFunc(nil), "func: the function is none of the module")
	if err := VerifyChanges(m); err != nil {
		t.Fatal(err)
	}

	f.DropUpdates(func(u Update) bool { return u.Var.Name() == "w" })
	if err := m.RemoveVariable(lr); err != nil {
		t.Fatal(err)
	}
	wantFault(m.RemoveVariable(lr), "variable: the variable is none of the module")
	if m.LookupVariable("lr") != nil || len(m.Variables()) != 2 {
		t.Error("the variable is still there")
	}
	if err := VerifyChanges(m); err != nil {
		t.Error(err)
	}
	before := m.Version()
	if err := m.RemoveFunc(f); err != nil {
		t.Fatal(err)
	}
	if m.Version() == before {
		t.Error("the version stays, though a function is removed")
	}
	if err := m.RemoveFunc(m.LookupFunc("helper")); err != nil {
		t.Fatal(err)
	}
	if len(m.Funcs()) != 0 || m.LookupFunc("train") != nil {
		t.Error("the functions are still there")
	}
	if err := Verify(m); err != nil {
		t.Error(err)
	}
	if x := lr.Read(m.Func("late")); x.OK() || m.Err() == nil {
		t.Error("a removed variable is read")
	}
}
