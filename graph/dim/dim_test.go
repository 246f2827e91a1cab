package dim

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func must(d Dim, err error) Dim {
	if err != nil {
		panic(err)
	}
	return d
}

func parse(t testing.TB, s string) Dim {
	t.Helper()
	d, err := Parse(s)
	if err != nil {
		t.Fatalf("Parse(%q): %v", s, err)
	}
	return d
}

// An expr is an expression as written, with its value by definition.
type expr struct {
	dim  Dim
	text string
	eval func(env map[string]int64) *big.Int // nil for a division by zero
}

var testUnknowns = map[string]Dim{
	"nz": Mul(Const(3), Sym("N")),
	"7":  Const(5),
}

func randomExpr(r *rand.Rand, depth int) expr {
	if depth == 0 || r.IntN(6) == 0 {
		switch r.IntN(7) {
		case 0, 1, 2:
			c := r.Int64N(13) - 6
			return expr{Const(c), fmt.Sprintf("(%d)", c), func(map[string]int64) *big.Int { return big.NewInt(c) }}
		case 3:
			id := []string{"nz", "7"}[r.IntN(2)]
			d := Unknown(id, testUnknowns[id])
			return expr{d, d.String(), func(env map[string]int64) *big.Int { return big.NewInt(env["?"+id]) }}
		}
		name := []string{"N", "M", "k.v"}[r.IntN(3)]
		return expr{Sym(name), name, func(env map[string]int64) *big.Int { return big.NewInt(env[name]) }}
	}
	x, y := randomExpr(r, depth-1), randomExpr(r, depth-1)
	if r.IntN(3) == 0 {
		k := r.Int64N(9) - 2
		y = expr{Const(k), fmt.Sprintf("(%d)", k), func(map[string]int64) *big.Int { return big.NewInt(k) }}
	}
	div := func(name string, f func(a, b Dim) (Dim, error), def func(a, b *big.Int) *big.Int) expr {
		d, err := f(x.dim, y.dim)
		if err != nil {
			return x
		}
		return expr{d, name + "(" + x.text + ", " + y.text + ")", func(env map[string]int64) *big.Int {
			a, b := x.eval(env), y.eval(env)
			if a == nil || b == nil || b.Sign() == 0 {
				return nil
			}
			return def(a, b)
		}}
	}
	op := func(d Dim, text string, def func(a, b *big.Int) *big.Int) expr {
		return expr{d, text, func(env map[string]int64) *big.Int {
			a, b := x.eval(env), y.eval(env)
			if a == nil || b == nil {
				return nil
			}
			return def(a, b)
		}}
	}
	floor := func(a, b *big.Int) *big.Int {
		q, r := new(big.Int).QuoRem(a, b, new(big.Int))
		if r.Sign()*b.Sign() < 0 {
			q.Sub(q, big.NewInt(1))
		}
		return q
	}
	infix := func(s string) string { return "(" + x.text + s + y.text + ")" }
	switch r.IntN(9) {
	case 0, 1:
		return op(Add(x.dim, y.dim), infix("+"), func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) })
	case 2:
		return op(Sub(x.dim, y.dim), infix("-"), func(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) })
	case 3:
		return op(Mul(x.dim, y.dim), infix("*"), func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) })
	case 4:
		return op(Min(x.dim, y.dim), "min"+strings.Replace(infix("\x00"), "\x00", ", ", 1), func(a, b *big.Int) *big.Int {
			if a.Cmp(b) < 0 {
				return a
			}
			return b
		})
	case 5:
		return op(Max(x.dim, y.dim), "max"+strings.Replace(infix("\x00"), "\x00", ", ", 1), func(a, b *big.Int) *big.Int {
			if a.Cmp(b) > 0 {
				return a
			}
			return b
		})
	case 6:
		return div("floordiv", FloorDiv, floor)
	case 7:
		return div("ceildiv", CeilDiv, func(a, b *big.Int) *big.Int {
			q := floor(new(big.Int).Neg(a), b)
			return q.Neg(q)
		})
	}
	return div("mod", Mod, func(a, b *big.Int) *big.Int {
		return new(big.Int).Sub(a, new(big.Int).Mul(b, floor(a, b)))
	})
}

func randomEnv(r *rand.Rand) map[string]int64 {
	env := map[string]int64{"N": 1 + r.Int64N(7), "M": 1 + r.Int64N(40), "k.v": 1 + r.Int64N(3)}
	for id, up := range testUnknowns {
		n, err := up.Eval(env)
		if err != nil {
			panic(err)
		}
		env["?"+id] = r.Int64N(n + 1)
	}
	return env
}

// checkText checks that the text of d reads back as d.
func checkText(t *testing.T, d Dim) {
	t.Helper()
	s := d.String()
	e, err := Parse(s)
	if err != nil {
		t.Fatalf("Parse(%q): %v", s, err)
	}
	if !e.Equal(d) || e.Compare(d) != 0 || e.String() != s {
		t.Fatalf("Parse(%q) = %s", s, e)
	}
	if diff := cmp.Diff(d, e); diff != "" {
		t.Fatal(diff)
	}
}

func inRange(r interval, v *big.Int) bool {
	return (r.lo == -inf || v.Cmp(big.NewInt(r.lo)) >= 0) && (r.hi == inf || v.Cmp(big.NewInt(r.hi)) <= 0)
}

func TestRandom(t *testing.T) {
	n := 20000
	if testing.Short() {
		n = 5000
	}
	var defined, overflows int
	for seed := range n {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		x := randomExpr(r, 1+r.IntN(5))
		d := x.dim
		checkText(t, d)
		if d.Overflow() {
			overflows++
			continue
		}
		if len(x.text) <= maxParse {
			if e := parse(t, x.text); !e.Equal(d) {
				t.Fatalf("%s is %s when parsed and %s when built", x.text, e, d)
			}
		}
		up := d.Upper()
		other := randomExpr(r, 2)
		for range 8 {
			env := randomEnv(r)
			want := x.eval(env)
			if want == nil {
				continue
			}
			defined++
			got, err := d.Eval(env)
			if !want.IsInt64() {
				if !errors.Is(err, ErrOverflow) {
					t.Fatalf("%s = %s is %d, %v at %v, want overflow", x.text, d, got, err, env)
				}
				continue
			}
			if err != nil || got != want.Int64() {
				t.Fatalf("%s = %s is %d, %v at %v, want %s", x.text, d, got, err, env, want)
			}
			if b, err := d.evalBig(env); err != nil || b.Cmp(want) != 0 {
				t.Fatalf("%s is %v, %v in evalBig at %v, want %s", d, b, err, env, want)
			}
			if !inRange(d.rng(), want) {
				t.Fatalf("%s is %s at %v, not in %v", d, want, env, d.rng())
			}
			if u, err := up.Eval(env); err == nil && u < got {
				t.Fatalf("Upper(%s) = %s is %d < %d at %v", d, up, u, got, env)
			}
			if v := other.eval(env); v != nil && v.Cmp(want) == 0 && ProvablyDifferent(d, other.dim) {
				t.Fatalf("%s and %s are provably different and both %s at %v", d, other.dim, v, env)
			}
			if v := other.eval(env); v != nil && !other.dim.Overflow() && !inRange(diffRange(d, other.dim), new(big.Int).Sub(want, v)) {
				t.Fatalf("%s - %s is not in %v at %v", d, other.dim, diffRange(d, other.dim), env)
			}
			checkSubst(t, r, d, env, got)
		}
	}
	if defined < n || overflows > n/10 {
		t.Errorf("%d evaluations and %d overflows for %d expressions", defined, overflows, n)
	}
}

// checkSubst checks that substituting some of env in d and evaluating the rest
// gives want.
func checkSubst(t *testing.T, r *rand.Rand, d Dim, env map[string]int64, want int64) {
	t.Helper()
	sub := map[string]Dim{}
	for k, v := range env {
		switch r.IntN(3) {
		case 0:
			sub[k] = Const(v)
		case 1:
			sub[k] = Add(Sub(Sym("N"), Const(env["N"])), Const(v))
		}
	}
	e, err := d.Subst(sub)
	if errors.Is(err, ErrDivideByZero) {
		t.Fatalf("Subst(%s, %v): %v", d, sub, err)
	}
	if err != nil || e.Overflow() {
		return
	}
	checkText(t, e)
	if got, err := e.Eval(env); err != nil || got != want {
		t.Fatalf("Subst(%s, %v) = %s is %d, %v at %v, want %d", d, sub, e, got, err, env, want)
	}
}

func TestLaws(t *testing.T) {
	for seed := range 20000 {
		r := rand.New(rand.NewPCG(uint64(seed), 2))
		x, y, z := randomExpr(r, 2).dim, randomExpr(r, 2).dim, randomExpr(r, 2).dim
		k := Const(1 + r.Int64N(6))
		for _, l := range []struct {
			name string
			a, b Dim
		}{
			{"x+y", Add(x, y), Add(y, x)},
			{"x*y", Mul(x, y), Mul(y, x)},
			{"x+(y+z)", Add(x, Add(y, z)), Add(Add(x, y), z)},
			{"sum", Add(x, Add(y, z)), Sum(z, x, y)},
			{"x*(y*z)", Mul(x, Mul(y, z)), Mul(Mul(x, y), z)},
			{"product", Mul(x, Mul(y, z)), Product(z, x, y)},
			{"x*(y+z)", Mul(x, Add(y, z)), Add(Mul(x, y), Mul(x, z))},
			{"x-x", Sub(x, x), Const(0)},
			{"x+y-y", Sub(Add(x, y), y), x},
			{"min(x, y)", Min(x, y), Min(y, x)},
			{"max(x, y)", Max(x, y), Max(y, x)},
			{"min(x, x)", Min(x, x), x},
			{"max(x, x)", Max(x, x), x},
			{"min(x, min(y, z))", Min(x, Min(y, z)), Min(Min(x, y), z)},
			{"max(x, max(y, z))", Max(x, Max(y, z)), Max(Max(x, y), z)},
			{"x*k/k", must(FloorDiv(Mul(x, k), k)), x},
			{"x*k+y mod k", must(Mod(Add(Mul(x, k), y), k)), must(Mod(y, k))},
		} {
			if !l.a.Overflow() && !l.b.Overflow() && !l.a.Equal(l.b) {
				t.Fatalf("%s: %s is not %s with x = %s, y = %s, z = %s, k = %s", l.name, l.a, l.b, x, y, z, k)
			}
		}
	}
}

func TestCompare(t *testing.T) {
	var ds []Dim
	for seed := range 60 {
		ds = append(ds, randomExpr(rand.New(rand.NewPCG(uint64(seed), 3)), 2).dim)
	}
	ds = append(ds, overflowDim(), Dim{}, Const(math.MaxInt64), Const(math.MinInt64))
	slices.SortFunc(ds, Dim.Compare)
	for i, a := range ds {
		for j, b := range ds {
			c := a.Compare(b)
			if c != -b.Compare(a) || (c == 0) != a.Equal(b) || (c == 0) != (a.Key() == b.Key()) || c > 0 && i < j {
				t.Errorf("Compare(%s, %s) = %d", a, b, c)
			}
		}
	}
}

// TestText has expressions by their canonical text.
func TestText(t *testing.T) {
	for _, tt := range []struct{ want, text string }{
		{"0", "N-N"},
		{"N", " N "},
		{"-N+5", "5-N"},
		{"N-1", "N + (-1)*1 + 0"},
		{"4*N+1", "1+N*4"},
		{"M+N", "N+M"},
		{"M*N+N", "N*(M+1)"},
		{"N*N-1", "(N+1)*(N-1)"},
		{"N*N+2*N+1", "(N+1)*(1+N)"},
		{"M*N+M+N+1", "(M+1)*(N+1)"},
		{"3*N", "(2*N)+N"},
		{"-N", "-(N)"},
		{"-9223372036854775808", "-9223372036854775808"},
		{"-9223372036854775808*N-9223372036854775808", "-9223372036854775808*N-9223372036854775808"},
		{"9223372036854775807", "9223372036854775807"},

		{"2*N+2", "floordiv(4*N+5, 2)"},
		{"floordiv(H+1, 2)", "floordiv(H+1, 2)"},
		{"floordiv(H+1, 2)-1", "floordiv(H-1, 2) + floordiv(1, 2)"},
		{"floordiv(H+1, 2)", "ceildiv(H, 2)"},
		{"floordiv(H+1, 2)", "floordiv(H-1, 2)+1"},
		{"floordiv(3*N, 2)", "floordiv(3*N, 2)"},
		{"floordiv(3*N, 2)", "floordiv(6*N+1, 4)"},
		{"floordiv(N, 4)", "floordiv(floordiv(N, 2), 2)"},
		{"floordiv(H+3, 4)", "floordiv(floordiv(H+1, 2)+1, 2)"},
		{"N", "floordiv(N, 1)"},
		{"-N", "floordiv(N, -1)"},
		{"0", "floordiv(0, N)"},
		{"1", "floordiv(N, N)"},
		{"A", "floordiv(A*B, B)"},
		{"A+C", "floordiv(A*B+B*C, B)"},
		{"A+floordiv(C, B)", "floordiv(A*B+C, B)"},
		{"floordiv(A, C)", "floordiv(A*B, C*B)"},
		{"floordiv(2*A, 3*B)", "floordiv(4*A, 6*B)"},
		{"floordiv(-A, B-3)", "floordiv(A, 3-B)"},
		{"M", "floordiv((N+1)*M, N+1)"},
		{"64", "floordiv(64*A*B+64*A, A*(B+1))"},
		{"N+1", "floordiv(N*N-1, N-1)"},
		{"floordiv(N-1, M)+1", "ceildiv(N, M)"},
		{"floordiv(N-1, M)+1", "floordiv(N+M-1, M)"},
		{"ceildiv(N, M-3)", "ceildiv(N, M-3)"},
		{"M", "ceildiv((N-1)*M, N-1)"},
		{"2*N+3", "ceildiv(4*N+5, 2)"},
		{"0", "floordiv(mod(N, 4), 4)"},
		{"-1", "floordiv(mod(N, 4)-4, 4)"},
		{"-4", "floordiv(7, -2)"},
		{"-4", "floordiv(-7, 2)"},
		{"-3", "ceildiv(-7, 2)"},

		{"0", "mod(4*N, 2)"},
		{"1", "mod(4*N+5, 2)"},
		{"mod(N, 2)", "mod(3*N+2, 2)"},
		{"mod(N, 2)", "mod(2-N, 2)"},
		{"2*mod(N, 2)+1", "mod(2*N+1, 4)"},
		{"B*mod(A, C)", "mod(A*B, C*B)"},
		{"0", "mod(A*B, B)"},
		{"mod(C, B)", "mod(A*B+C, B)"},
		{"mod(N, 4)", "mod(mod(N, 4), 4)"},
		{"mod(N, 4)", "mod(mod(N, 4), 7)"},
		{"0", "mod(N, 1)"},
		{"-1", "mod(7, -2)"},
		{"-mod(N, 2)", "mod(N, -2)"},
		{"1", "mod(-7, 2)"},
		{"0", "mod((N+1)*M, N+1)"},

		{"min(4, N)", "min(N, 4)"},
		{"min(M, N)", "min(N, M, N)"},
		{"min(3, M, N)", "min(min(N, 7), min(M, 3))"},
		{"N", "min(N, N)"},
		{"N", "min(N, N+1)"},
		{"N+1", "max(N, N+1)"},
		{"N", "max(N, 1)"},
		{"N", "max(N, 0)"},
		{"1", "min(N, 1)"},
		{"4*N", "max(N, 4*N)"},
		{"0", "min(unknown(k, N), 0)"},
		{"3", "max(1, 2, 3)"},
		{"N", "min(N)"},
		{"max(2, min(M, N))", "max(min(N, M), 2)"},

		{"unknown(nz, 3*N)", "unknown( nz ,N+2*N)"},
		{"2*N*unknown(7, N)", "unknown(7, N)*N*2"},
		{"overflow", "overflow"},
	} {
		d := parse(t, tt.text)
		if got := d.String(); got != tt.want {
			t.Errorf("%s is %s, want %s", tt.text, got, tt.want)
		}
		checkText(t, d)
	}
}

func TestParseErrors(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("(", n) + "N" + strings.Repeat(")", n) }
	for _, s := range []string{
		"", " ", "+", "-", "--N", "N+", "N*", "*N", "N N", "N-", "N+-1", "N*-1", "2N", "0x10", "1_000", "1.5", ".N",
		"(", ")", "()", "(N", "N)", "N,M", "é", "N\x00", "N\n", "N/2", "?nz",
		"min", "min()", "min(", "min(N", "min(N,", "min(N,)", "min N", "min+1", "mod(N)", "mod(N, 2, 3)", "floordiv", "floordiv(N)",
		"floordiv(N, 0)", "mod(N, N-N)", "ceildiv(0, 0)",
		"unknown", "unknown()", "unknown(k)", "unknown(k,)", "unknown(k, N, M)", "unknown(a.b, N)", "unknown(, N)", "unknown(-1, N)",
		"9223372036854775808", "-9223372036854775809", "99999999999999999999999999", "-(9223372036854775808)",
		"9223372036854775807+1", "9223372036854775807*2*N", "-(-9223372036854775808)", "floordiv(-9223372036854775808, -1)",
		"overflow+1", "unknown(k, overflow)", "overflow(1)",
		nested(maxDepth + 1),
		strings.Repeat("min(M, 1+", maxDepth+1) + "N" + strings.Repeat(")", maxDepth+1),
		strings.Repeat("-", 4000) + "N",
		strings.Repeat("(", 4096),
		strings.Repeat("floordiv(", 400),
		strings.Repeat("N", 4097),
		strings.Repeat("(a+b)*(c+d)*", 300) + "1",
		strings.Repeat("(a+b+c+d+e+f+g+h)*", 200) + "1",
	} {
		if d, err := Parse(s); err == nil {
			t.Errorf("Parse(%q) = %s, want an error", brief(s), d)
		} else if len(err.Error()) > 500 {
			t.Errorf("Parse(%q): error of %d bytes", brief(s), len(err.Error()))
		}
	}
	for _, s := range []string{
		nested(maxDepth),
		strings.Repeat("floordiv(", maxDepth) + "N" + strings.Repeat(", M)", maxDepth),
		strings.Repeat("N", maxText),
		strings.Repeat("N*", 2000) + "N",
		strings.Repeat("N+", 2000) + "N",
	} {
		checkText(t, parse(t, s))
	}
}

// TestParseTime has inputs of the greatest length that are the most work.
func TestParseTime(t *testing.T) {
	var sum, arms strings.Builder
	for i := range 700 {
		fmt.Fprintf(&sum, "+a%x", i)
		fmt.Fprintf(&arms, ", a%x", i)
	}
	for _, s := range []string{
		"0" + sum.String(),
		"(0" + sum.String()[:2000] + ")*(0" + sum.String()[:2000] + ")",
		"floordiv(0" + sum.String()[:2000] + ", 0" + sum.String()[:2000] + ")",
		"min(0" + arms.String()[:400] + ")",
		"min(0" + arms.String() + ")",
		strings.Repeat("floordiv(N*(1", 63) + "+N" + strings.Repeat("), 3)", 63),
		strings.Repeat("mod(N*(N", 60) + "+N" + strings.Repeat("), N+1)", 60),
	} {
		if d, err := Parse(s); err == nil {
			checkText(t, d)
		}
	}
}

func TestOverflow(t *testing.T) {
	n, k := Sym("N"), Const(math.MaxInt64)
	least := Const(math.MinInt64)
	deep := n
	for range maxDepth + 1 {
		deep = Min(Add(deep, Const(1)), Sym("M"))
		deep = must(FloorDiv(Mul(deep, n), Const(3)))
	}
	wide := Const(1)
	for i := range 20 {
		wide = Mul(wide, Add(Sym(fmt.Sprintf("s%d", i)), Const(1)))
	}
	long := n
	for range 20 {
		long = Mul(long, long)
	}
	arms := n
	for i := range maxArms + 1 {
		arms = Min(arms, Sym(fmt.Sprintf("s%d", i)))
	}
	for i, d := range []Dim{
		Add(k, Const(1)), Sub(least, Const(1)), Mul(k, Const(2)), Mul(least, Const(-1)), Sub(Const(0), least),
		Mul(Mul(n, k), k), Add(Mul(n, k), n), Sum(k, k), Product(k, k), Add(Add(n, k), Const(1)),
		must(FloorDiv(least, Const(-1))), must(CeilDiv(least, Const(-1))), must(FloorDiv(Mul(n, least), Const(-1))),
		deep, wide, long, arms, Sym(strings.Repeat("N", 5000)), Unknown(strings.Repeat("1", 5000), n),
	} {
		if !d.Overflow() {
			t.Errorf("%d: %s is not overflow", i, d.brief())
			continue
		}
		for _, e := range []Dim{
			Add(d, n), Add(n, d), Sub(d, d), Mul(d, Const(0)), Mul(Const(0), d), Min(d, Const(0)), Max(n, d), Sum(n, d), Product(d, n),
			must(FloorDiv(d, n)), must(FloorDiv(Const(0), d)), must(CeilDiv(n, d)), must(Mod(d, Const(1))), Unknown("k", d), d.Upper(),
			must(d.Subst(nil)), must(n.Subst(map[string]Dim{"N": d})),
		} {
			if !e.Equal(d) || e.String() != overflowText || e.IsConst() {
				t.Errorf("%d: %s, want overflow", i, e)
			}
		}
		if _, err := d.Eval(nil); !errors.Is(err, ErrOverflow) {
			t.Errorf("%d: Eval: %v", i, err)
		}
		if _, _, _, ok := d.Affine(); ok {
			t.Errorf("%d: affine", i)
		}
		if ProvablyDifferent(d, n) || len(d.Symbols()) != 0 || len(d.Unknowns()) != 0 {
			t.Errorf("%d: overflow is taken for a sum", i)
		}
	}
	if m := must(Mod(least, Const(-1))); !m.Equal(Dim{}) {
		t.Errorf("mod of the least integer by -1 is %s", m)
	}
}

func TestDivideByZero(t *testing.T) {
	for _, f := range []func(a, b Dim) (Dim, error){FloorDiv, CeilDiv, Mod} {
		for _, a := range []Dim{{}, Const(3), Sym("N"), overflowDim()} {
			if d, err := f(a, Dim{}); !errors.Is(err, ErrDivideByZero) {
				t.Errorf("%s by 0 = %s, %v", a, d, err)
			}
		}
		d := must(f(Sym("N"), Sub(Sym("M"), Const(3))))
		if _, err := d.Eval(map[string]int64{"N": 1, "M": 3}); !errors.Is(err, ErrDivideByZero) {
			t.Errorf("%s: Eval: %v", d, err)
		}
		if _, err := d.Subst(map[string]Dim{"M": Const(3)}); !errors.Is(err, ErrDivideByZero) {
			t.Errorf("%s: Subst: %v", d, err)
		}
	}
}

func TestEval(t *testing.T) {
	const huge = math.MaxInt64
	for _, tt := range []struct {
		text string
		env  map[string]int64
		want int64
		err  string
	}{
		{"3", nil, 3, ""},
		{"4*N+1", map[string]int64{"N": 2}, 9, ""},
		{"N-unknown(nz, M)", map[string]int64{"N": 2, "?nz": 5}, -3, ""},
		{"floordiv(-N, 2)", map[string]int64{"N": 3}, -2, ""},
		{"floordiv(N*N, N+1)", map[string]int64{"N": huge}, huge - 1, ""},
		{"N*N-N*M", map[string]int64{"N": huge, "M": huge}, 0, ""},
		{"N*N", map[string]int64{"N": huge}, 0, "integer overflow: N*N is 8507"},
		{"N+1", map[string]int64{"N": huge}, 0, "integer overflow"},
		{"N+M", map[string]int64{"N": 1}, 0, "no value for symbol M"},
		{"unknown(nz, 3)", map[string]int64{"nz": 1}, 0, "no value for unknown ?nz"},
		{"N", map[string]int64{"N": 0}, 0, "N is 0: want at least 1"},
		{"unknown(nz, 3)", map[string]int64{"?nz": -1}, 0, "?nz is -1: want at least 0"},
		{"mod(3, N-1)", map[string]int64{"N": 1}, 0, "division by zero: N-1 is 0 in mod(3, N-1)"},
		{"N*N*N+mod(3, N-M)", map[string]int64{"N": huge, "M": huge}, 0, "division by zero"},
	} {
		got, err := parse(t, tt.text).Eval(tt.env)
		if tt.err == "" && (err != nil || got != tt.want) {
			t.Errorf("%s is %d, %v at %v, want %d", tt.text, got, err, tt.env, tt.want)
		}
		if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s is %d, %v at %v, want error %q", tt.text, got, err, tt.env, tt.err)
		}
	}
}

func TestSubst(t *testing.T) {
	for _, tt := range []struct{ text, name, with, want string }{
		{"4*N+1", "N", "2", "9"},
		{"4*N+M", "N", "M+1", "5*M+4"},
		{"N*N", "N", "N+1", "N*N+2*N+1"},
		{"floordiv(N, 2)", "N", "4*K", "2*K"},
		{"min(M, N)", "N", "M", "M"},
		{"unknown(nz, 3*N)+N", "N", "2", "unknown(nz, 6)+2"},
		{"unknown(nz, 3*N)+N", "?nz", "N", "2*N"},
		{"unknown(nz, 3*N)", "nz", "1", "unknown(nz, 3*N)"},
		{"N", "N", "0", "error"},
		{"unknown(nz, 3*N)", "?nz", "-N", "error"},
	} {
		d, err := parse(t, tt.text).Subst(map[string]Dim{tt.name: parse(t, tt.with)})
		got := d.String()
		if err != nil {
			got = "error"
		}
		if got != tt.want {
			t.Errorf("%s with %s for %s is %s, %v, want %s", tt.text, tt.with, tt.name, got, err, tt.want)
		}
	}
	swapped := must(parse(t, "2*M+N").Subst(map[string]Dim{"M": Sym("N"), "N": Sym("M")}))
	if got := swapped.String(); got != "M+2*N" {
		t.Errorf("swapped: %s", got)
	}
}

func TestAffine(t *testing.T) {
	for _, tt := range []struct {
		text string
		coef int64
		sym  string
		rest int64
		ok   bool
	}{
		{"7", 0, "", 7, true},
		{"N", 1, "N", 0, true},
		{"4*N+1", 4, "N", 1, true},
		{"3-N", -1, "N", 3, true},
		{"N+M", 0, "", 0, false},
		{"N*N", 0, "", 0, false},
		{"N*M", 0, "", 0, false},
		{"floordiv(N, 2)", 0, "", 0, false},
		{"unknown(nz, N)", 0, "", 0, false},
		{"overflow", 0, "", 0, false},
	} {
		coef, sym, rest, ok := parse(t, tt.text).Affine()
		if coef != tt.coef || sym != tt.sym || rest != tt.rest || ok != tt.ok {
			t.Errorf("%s: %d, %q, %d, %t", tt.text, coef, sym, rest, ok)
		}
	}
}

func TestUpper(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"N", "N"},
		{"floordiv(N-7, 2)", "floordiv(N-7, 2)"},
		{"unknown(k, 3*N)", "3*N"},
		{"2*unknown(k, N)*M+1", "2*M*N+1"},
		{"N-unknown(k, N)", "N"},
		{"unknown(a, unknown(b, N)+1)", "N+1"},
		{"floordiv(unknown(k, N), 2)", "floordiv(N, 2)"},
		{"floordiv(M, unknown(k, N)+1)", "M"},
		{"-floordiv(M, unknown(k, N)+1)", "-floordiv(M, N+1)"},
		{"mod(unknown(k, N), 4)", "3"},
		{"mod(M, unknown(k, N)+1)", "N"},
		{"min(unknown(k, N), 4)", "min(4, N)"},
		{"max(unknown(k, N), 4)", "max(4, N)"},
		{"unknown(k, N)*unknown(k, N)", "N*N"},
		{"(M-5)*unknown(k, N)", "M*N"},
		{"mod(M-N, 3)*unknown(k, N)", "N*mod(M-N, 3)"},
		{"mod(M, M-N)*unknown(k, N)", "mod(M, M-N)*unknown(k, N)"},
	} {
		d := parse(t, tt.text)
		if got := d.Upper(); !got.Equal(parse(t, tt.want)) {
			t.Errorf("Upper(%s) = %s, want %s", tt.text, got, tt.want)
		}
	}
}

func TestProvablyDifferent(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"1", "2", true},
		{"2", "2", false},
		{"N", "N", false},
		{"N", "N+1", true},
		{"N", "M", false},
		{"N", "0", true},
		{"N", "1", false},
		{"N+M", "1", true},
		{"N+M", "N", true},
		{"4*N", "N", true},
		{"2*N", "2*M+1", true},
		{"2*N", "3*M+1", false},
		{"unknown(k, N)", "N+1", true},
		{"unknown(k, N)", "N", false},
		{"2*unknown(k, N)+1", "M*unknown(k, N)", false},
		{"mod(N, 4)", "4", true},
		{"min(N, 4)", "5", true},
	} {
		a, b := parse(t, tt.a), parse(t, tt.b)
		if ProvablyDifferent(a, b) != tt.want || ProvablyDifferent(b, a) != tt.want {
			t.Errorf("ProvablyDifferent(%s, %s) is not %t both ways", a, b, tt.want)
		}
	}
}

func TestNames(t *testing.T) {
	d := parse(t, "N*mod(k.v, M)+unknown(7, H)*unknown(nz, unknown(x, W))+N")
	if diff := cmp.Diff([]string{"M", "N", "k.v"}, d.Symbols()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"7", "nz"}, d.Unknowns()); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]bool{
		"N": true, "_": true, "a.b": true, "N1": true, "minimum": true,
		"": false, "1N": false, ".a": false, "min": false, "unknown": false, "overflow": false, "a-b": false, "é": false,
	} {
		if IsSymbol(name) != want {
			t.Errorf("IsSymbol(%q) is not %t", name, want)
		}
	}
	for _, f := range []func(){
		func() { Sym("min") },
		func() { Sym("a b") },
		func() { Unknown("", Dim{}) },
		func() { Unknown("a.b", Dim{}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic for an invalid name")
				}
			}()
			f()
		}()
	}
}

func TestConst(t *testing.T) {
	var zero Dim
	if n, ok := zero.Int(); n != 0 || !ok || !zero.IsConst() || zero.String() != "0" || !zero.Equal(Const(0)) {
		t.Error("the zero Dim is not 0")
	}
	if n, ok := Add(Sym("N"), Const(3)).Int(); n != 0 || ok {
		t.Error("N+3 is a constant")
	}
	if !Sum().Equal(Const(0)) || !Product().Equal(Const(1)) {
		t.Error("empty sum or product")
	}
}

func TestConstAllocs(t *testing.T) {
	a, b := Const(1<<40), Const(7)
	var sink Dim
	if n := testing.AllocsPerRun(100, func() {
		sink = Add(Mul(a, b), Sub(a, b))
		sink = Min(Max(sink, b), Sum(a, sink, b))
		sink = Product(sink, b)
		x, _ := FloorDiv(sink, b)
		y, _ := CeilDiv(x, b)
		sink, _ = Mod(Add(x, y), b)
		if sink.Equal(a) || sink.Compare(b) > 0 {
			panic("unreachable")
		}
	}); n != 0 {
		t.Errorf("%v allocations for arithmetic on constants", n)
	}
	d := Sym("N")
	if n := testing.AllocsPerRun(100, func() { sink = Add(d, b) }); n != 0 {
		t.Errorf("%v allocations for adding a constant", n)
	}
	if n := testing.AllocsPerRun(100, func() { sink = Sym("N") }); n > 1 {
		t.Errorf("%v allocations for a symbol", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"0", "N", "4*N+1", "-N+5", "floordiv(H+1, 2)", "ceildiv(N, M-3)", "mod(2*N+1, 4)", "min(4, N)", "max(N, M, 3)",
		"2*N*unknown(7, N)", "overflow", "-9223372036854775808*N", "(N+1)*(M-1)", "2*N*unknown(7, -N)", "floordiv(floordiv(N, 2)+1, 3)",
	} {
		f.Add(s)
	}
	env := map[string]int64{"N": 3, "M": 5, "H": 224, "?7": 2}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := Parse(s)
		if err != nil {
			return
		}
		checkText(t, d)
		if e, err := d.Subst(nil); err != nil || !e.Equal(d) {
			t.Fatalf("Subst(%s, nil) = %s, %v", d, e, err)
		}
		checkText(t, d.Upper())
		// An unknown of env need not be within the bound that s gives it.
		got, err := d.Eval(env)
		if err == nil && !d.hasUnknown() && !inRange(d.rng(), big.NewInt(got)) {
			t.Fatalf("%s is %d, not in %v", d, got, d.rng())
		}
		Sub(d, Sym("N"))
		ProvablyDifferent(d, Sym("N"))
		d.Symbols()
		d.Unknowns()
		d.Affine()
	})
}

func BenchmarkConst(b *testing.B) {
	b.ReportAllocs()
	d := Const(1)
	for b.Loop() {
		d = Add(Min(Mul(d, Const(3)), Const(1000)), Const(1))
	}
}

func BenchmarkSym(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Sym("batch")
	}
}

func BenchmarkConv(b *testing.B) {
	b.ReportAllocs()
	h := Sym("H")
	for b.Loop() {
		d, _ := FloorDiv(Sub(Add(h, Const(6)), Const(7)), Const(2))
		Add(d, Const(1))
	}
}

func BenchmarkEqual(b *testing.B) {
	x, y := Add(Mul(Sym("N"), Sym("M")), Const(1)), Add(Mul(Sym("M"), Sym("N")), Const(1))
	for b.Loop() {
		if !x.Equal(y) {
			b.Fatal("not equal")
		}
	}
}
