package compile

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/graphrun/graphrun/graph"
)

// tables are the tables of rules, by the pass that applies them.
var tables = map[string][]*Rule{"stabilize": StabilizeRules, "simplify": slices.Concat(SimplifyRules, ProductRules)}

// TestRulesAreOfOps wants every op that a rule names to exist, and every rule to say what it is.
func TestRulesAreOfOps(t *testing.T) {
	for pass, rules := range tables {
		seen := map[string]bool{}
		for _, r := range rules {
			if r.Name == "" || r.Law == "" || r.Apply == nil || seen[r.Name] {
				t.Errorf("%s: rule %q needs a name of its own, a Law and Apply", pass, r.Name)
			}
			seen[r.Name] = true
			for _, op := range []string{r.Op, r.Sole} {
				if op != "" && graph.LookupOp(op) == nil || r.Op == "" {
					t.Errorf("%s: rule %s is of %q, which is no operation", pass, r.Name, op)
				}
			}
		}
	}
}

// opNames returns the string literals in a Go file that stand where the name of an op does, and ops that are none: arguments of Is,
// operand, LookupOp, involution, idempotent and sameType, the fields Op and Sole of a rule, and what the name of an op is compared with.
func opNames(name string, src any) (names int, faults []string, err error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, 0)
	if err != nil {
		return 0, nil, err
	}
	check := func(e ast.Expr) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		names++
		if op, _ := strconv.Unquote(lit.Value); graph.LookupOp(op) == nil {
			faults = append(faults, fmt.Sprintf("%s: %q is no operation", fset.Position(lit.Pos()), op))
		}
	}
	// Where the name stands among the arguments; -1 is the last one.
	place := map[string]int{"Is": 0, "LookupOp": 0, "operand": -1, "involution": 1, "idempotent": 1, "sameType": 1}
	called := map[string]bool{} // variables that hold the name of an op
	isName := func(e ast.Expr) bool {
		if id, ok := e.(*ast.Ident); ok {
			return called[id.Name]
		}
		s, ok := e.(*ast.SelectorExpr)
		if !ok || s.Sel.Name != "Name" {
			return false
		}
		call, ok := s.X.(*ast.CallExpr)
		if !ok {
			return false
		}
		of, ok := call.Fun.(*ast.SelectorExpr)
		return ok && of.Sel.Name == "Op"
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			called = map[string]bool{}
		case *ast.AssignStmt:
			for i, e := range n.Rhs {
				if id, ok := n.Lhs[min(i, len(n.Lhs)-1)].(*ast.Ident); ok && len(n.Lhs) == len(n.Rhs) && isName(e) {
					called[id.Name] = true
				}
			}
		case *ast.CallExpr:
			var f string
			switch x := n.Fun.(type) {
			case *ast.Ident:
				f = x.Name
			case *ast.SelectorExpr:
				f = x.Sel.Name
			}
			if at, ok := place[f]; ok && len(n.Args) > 0 {
				if at < 0 {
					at = len(n.Args) - 1
				}
				check(n.Args[min(at, len(n.Args)-1)])
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && (key.Name == "Op" || key.Name == "Sole") {
				check(n.Value)
			}
		case *ast.BinaryExpr:
			if isName(n.X) {
				check(n.Y)
			}
			if isName(n.Y) {
				check(n.X)
			}
		case *ast.SwitchStmt:
			if n.Tag != nil && isName(n.Tag) {
				for _, c := range n.Body.List {
					for _, e := range c.(*ast.CaseClause).List {
						check(e)
					}
				}
			}
		}
		return true
	})
	return names, faults, nil
}

// TestOpNamesInPasses wants every op that the source of a pass names to exist.
func TestOpNamesInPasses(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		names, faults, err := opNames(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		total += names
		for _, fault := range faults {
			t.Error(fault)
		}
	}
	if total < 40 {
		t.Errorf("found %d names of ops only", total)
	}
}

// TestOpNamesFindsFaults plants names that no op has in every place where one can stand.
func TestOpNamesFindsFaults(t *testing.T) {
	_, faults, err := opNames("planted.go", `package compile
var rules = []*Rule{{Name: "fine", Op: "a1", Sole: "a2"}, involution("fine", "a3", "fine"), sameType("fine", "a4", "fine")}
func f(n *graph.Node, v graph.Value) {
	_ = v.Is("a5") || operand(n, 0, "a6") != nil || graph.LookupOp("a7") != nil
	_ = n.Op().Name == "a8" || "a9" != v.Node().Op().Name
	switch n.Op().Name {
	case "a10", "add":
	}
	name := n.Op().Name
	if name == "a11" || name == "mul" {
	}
}
func g(name string) bool { return name == "fine" }
`)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 11 {
		if want := strconv.Quote("a"+strconv.Itoa(i+1)) + " is no operation"; !slices.ContainsFunc(faults, func(f string) bool { return strings.HasSuffix(f, want) }) {
			t.Errorf("want %s, have %q", want, faults)
		}
	}
	if len(faults) != 11 {
		t.Errorf("want 11 faults, have %q", faults)
	}
}

// fired returns how often each rule of a pass fires in the golden files, as "pass rule". TestGolden holds the files against the passes.
func fired(t *testing.T) map[string]int {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	times := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range txtar.Parse(text).Files {
			if f.Name != "rewrites" {
				continue
			}
			for line := range strings.Lines(string(f.Data)) {
				pass, rules, _ := strings.Cut(line, ":")
				for _, r := range strings.Fields(rules) {
					rule, count, _ := strings.Cut(r, "=")
					n, err := strconv.Atoi(count)
					if err != nil {
						t.Fatalf("%s: %v", file, err)
					}
					times[pass+" "+rule] += n
				}
			}
		}
	}
	return times
}

// TestRulesFire wants every rule to fire in a golden file.
func TestRulesFire(t *testing.T) {
	times := fired(t)
	for pass, rules := range tables {
		for _, r := range rules {
			if times[pass+" "+r.Name] == 0 {
				t.Errorf("no golden file of testdata shows rule %s of %s: %s", r.Name, pass, r.Law)
			}
		}
	}
}
