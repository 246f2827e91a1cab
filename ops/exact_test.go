package ops_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/graphrun/graphrun/compile"
	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/runtime"
)

// exactElsewhere are the ops without a case in testdata/exact.txt, with the reason.
var exactElsewhere = map[string]string{
	"count":          "its samples have the product of sizes, nn.TestOneValuePerChannel what it refuses",
	"call":           "it is what the function called is",
	"constant":       "it computes nothing",
	"custom_grad":    "it is what its region is",
	"dropout":        "package philox has the values of its authors, TestDropout what is made of them",
	"fused":          "it is what its region is",
	"grad":           "gradients are compared with differences and PyTorch",
	"random_normal":  "package philox has the values of its authors, TestRandomDistributions what is made of them",
	"random_uniform": "package philox has the values of its authors, TestRandomDistributions what is made of them",
	"read":           "it computes nothing",
}

// exactCase is a case of testdata/exact.txt, which testdata/exact.py has written.
type exactCase struct {
	line      int
	op, attrs string
	in, want  []*value.Tensor
	tolerance string
}

func exactCases(t *testing.T) (cases []exactCase) {
	text, err := os.ReadFile("testdata/exact.txt")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		body := line[min(2, len(line)):]
		last := len(cases) - 1
		switch line[:2] {
		case "  ", "= ":
			typ, elements, _ := strings.Cut(body, "] ")
			gt, err := graph.ParseType(typ + "]")
			if err != nil {
				t.Fatalf("line %d: %v", i+1, err)
			}
			shape, _ := gt.(graph.TensorType).ConstShape()
			x, err := value.ParseElements(gt.(graph.TensorType).DType, shape, elements)
			if err != nil {
				t.Fatalf("line %d: %v", i+1, err)
			}
			if line[0] == '=' {
				cases[last].want = append(cases[last].want, x)
			} else {
				cases[last].in = append(cases[last].in, x)
			}
		case "~ ":
			cases[last].tolerance = body
		default:
			op, attrs, _ := strings.Cut(line, " ")
			cases = append(cases, exactCase{line: i + 1, op: op, attrs: attrs})
		}
	}
	return cases
}

// module declares the op of a case.
func (c *exactCase) module() (*graph.Module, error) {
	var params, operands, results, returns []string
	for i, x := range c.in {
		params = append(params, fmt.Sprintf("%%x%d: %s", i, graph.TypeOf(x)))
		operands = append(operands, fmt.Sprintf("%%x%d", i))
	}
	for i := range c.want {
		results = append(results, fmt.Sprintf("%%%d", i))
		returns = append(returns, fmt.Sprintf("y%d: %%%[1]d", i))
	}
	text := fmt.Sprintf("graphrun 2\nmodule @m\n\nfunc @f(%s) {\n  %s = %s %s %s\n  return %s\n}\n", strings.Join(params, ", "),
		strings.Join(results, ", "), c.op, strings.Join(operands, ", "), c.attrs, strings.Join(returns, ", "))
	return graph.Parse("exact.txt", []byte(text), graph.ParseOptions{})
}

// compare holds results against the exact ones, which are rounded once; ulps of room come to those of the case.
func (c *exactCase) compare(got []value.Value, ulps float64) error {
	for i, w := range c.want {
		g := got[i].(*value.Tensor)
		if !w.DType().IsFloat() {
			if !g.Equal(w) {
				return fmt.Errorf("result %d is %v, want %v", i, g, w)
			}
			continue
		}
		xs, ys := w.Float64s(), g.Float64s()
		if len(xs) != len(ys) {
			return fmt.Errorf("result %d is %s, want %s", i, graph.TypeOf(g), graph.TypeOf(w))
		}
		n, err := strconv.ParseFloat(c.tolerance, 64)
		if err != nil {
			return err
		}
		greatest := 0.0
		for _, x := range xs {
			if !math.IsInf(x, 0) {
				greatest = max(greatest, math.Abs(x))
			}
		}
		for k, x := range xs {
			y := ys[k]
			room := n * greatest
			if n == 0 || n >= 1 {
				room = (n + ulps) * unit(w.DType(), x)
			}
			zeros := x == 0 && y == 0 && n == 0 && math.Signbit(x) != math.Signbit(y)
			if x == y && !zeros || x != x && y != y || math.Abs(x-y) <= room && !zeros {
				continue
			}
			var of []float64
			for _, in := range c.in {
				if in.Len() == len(xs) {
					of = append(of, in.Float64At(k))
				}
			}
			return fmt.Errorf("result %d, element %d, of %v, is %v, want %v: off by %.1f units", i, k, of, y, x, math.Abs(x-y)/unit(w.DType(), x))
		}
	}
	return nil
}

// unit is the distance of x from the next number of a dtype.
func unit(dt graph.DType, x float64) float64 {
	x = math.Abs(x)
	if dt == graph.F32 {
		x = min(x, 0x1p127)
		return float64(math.Nextafter32(float32(x), math.MaxFloat32)) - x
	}
	x = min(x, 0x1p1023)
	return math.Nextafter(x, math.Inf(1)) - x
}

// TestExact holds the reference and the compiled form of every op against values that share nothing with them: see testdata/exact.py.
// A new op needs a case there.
func TestExact(t *testing.T) {
	have := map[string]bool{}
	for _, c := range exactCases(t) {
		have[c.op] = true
		t.Run(fmt.Sprintf("%s/%d", c.op, c.line), func(t *testing.T) {
			m, err := c.module()
			if err != nil {
				t.Fatal(err)
			}
			in, feeds := make([]value.Value, len(c.in)), map[string]value.Value{}
			for i, x := range c.in {
				in[i], feeds[fmt.Sprintf("x%d", i)] = x, x
			}
			got, err := (&graph.Interpreter{}).Run(m.LookupFunc("f"), in)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.compare(got, 0); err != nil {
				t.Errorf("reference: %v", err)
			}
			prog, err := compile.Compile(m)
			if err != nil {
				t.Fatal(err)
			}
			s, err := runtime.NewSession(prog)
			if err != nil {
				t.Fatal(err)
			}
			results, err := s.Run(context.Background(), "f", feeds)
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				got[i] = results[fmt.Sprintf("y%d", i)]
			}
			if err := c.compare(got, graph.LookupOp(c.op).Tol.ULP); err != nil {
				t.Errorf("compiled: %v", err)
			}
		})
	}
	for _, op := range graph.Ops() {
		if have[op.Name] == (exactElsewhere[op.Name] != "") {
			t.Errorf("%s: want either a case in testdata/exact.py or a reason in exactElsewhere", op.Name)
		}
	}
}
