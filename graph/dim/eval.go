package dim

import (
	"math/big"

	"github.com/graphrun/graphrun/graph/errfmt"
)

// Eval returns the value of d in env, which maps the names of symbols and, with
// "?" before them, the ids of unknowns to their values. It is an error if one
// that d needs is missing, if a symbol is less than 1 or an unknown less than 0,
// if a divisor is zero ([ErrDivideByZero]), and if the value does not fit in an
// int64 or d is the overflow dim ([ErrOverflow]). Intermediate values may be of
// any size. The upper bounds of unknowns are not checked.
func (d Dim) Eval(env map[string]int64) (int64, error) {
	if d.n == nil {
		return d.c, nil
	}
	if d.Overflow() {
		return 0, ErrOverflow
	}
	v, ok, err := d.eval(env)
	if ok || err != nil {
		return v, err
	}
	b, err := d.evalBig(env)
	if err != nil {
		return 0, err
	}
	if !b.IsInt64() {
		return 0, errfmt.Errorf("%w: %s is %s", ErrOverflow, d.brief(), brief(b.String()))
	}
	return b.Int64(), nil
}

// Defined reports whether d is known to have a value: no divisor in it can be 0.
func (d Dim) Defined() bool {
	defined := true
	d.walk(func(a *atom) {
		if a.kind == floordiv || a.kind == ceildiv || a.kind == mod {
			r := a.args[1].rng()
			defined = defined && (r.lo > 0 || r.hi < 0)
		}
	})
	return defined
}

func (d Dim) brief() string { return brief(d.String()) }

// brief returns s shortened to what is useful in an error.
func brief(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// eval returns the value of d, and false if it or an intermediate value does not
// fit in an int64.
func (d Dim) eval(env map[string]int64) (v int64, ok bool, err error) {
	v = d.c
	for _, t := range d.terms() {
		p := t.coef
		for _, f := range t.factors {
			x, ok, err := f.eval(env)
			if !ok || err != nil {
				return 0, ok, err
			}
			for range f.pow {
				if p, ok = mul64(p, x); !ok {
					return 0, false, nil
				}
			}
		}
		if v, ok = add64(v, p); !ok {
			return 0, false, nil
		}
	}
	return v, true, nil
}

func (a *atom) eval(env map[string]int64) (v int64, ok bool, err error) {
	if a.kind == symbol || a.kind == unknown {
		v, err := a.lookup(env)
		return v, true, err
	}
	for i, d := range a.args {
		x, ok, err := d.eval(env)
		if !ok || err != nil {
			return 0, ok, err
		}
		switch {
		case i == 0:
			v = x
			continue
		case a.kind == minimum:
			v = min(v, x)
			continue
		case a.kind == maximum:
			v = max(v, x)
			continue
		case x == 0:
			return 0, true, a.zeroDivisor()
		}
		ok = true
		switch a.kind {
		case floordiv:
			v, ok = floorDiv64(v, x)
		case ceildiv:
			v, ok = ceilDiv64(v, x)
		case mod:
			v = floorMod64(v, x)
		}
		if !ok {
			return 0, false, nil
		}
	}
	return v, true, nil
}

func (a *atom) lookup(env map[string]int64) (int64, error) {
	least := int64(1)
	if a.kind == unknown {
		least = 0
	}
	v, ok := env[a.bind]
	if !ok {
		return 0, errfmt.Errorf("dim: no value for %s %s", kindNames[a.kind], brief(a.bind))
	}
	if v < least {
		return 0, errfmt.Errorf("dim: %s is %d: want at least %d", brief(a.bind), v, least)
	}
	return v, nil
}

func (a *atom) zeroDivisor() error {
	return errfmt.Errorf("%w: %s is 0 in %s", ErrDivideByZero, a.args[1].brief(), brief(a.text))
}

// evalBig is eval without a limit on values.
func (d Dim) evalBig(env map[string]int64) (*big.Int, error) {
	v := big.NewInt(d.c)
	for _, t := range d.terms() {
		p := big.NewInt(t.coef)
		for _, f := range t.factors {
			x, err := f.evalBig(env)
			if err != nil {
				return nil, err
			}
			p.Mul(p, new(big.Int).Exp(x, big.NewInt(int64(f.pow)), nil))
		}
		v.Add(v, p)
	}
	return v, nil
}

func (a *atom) evalBig(env map[string]int64) (*big.Int, error) {
	if a.kind == symbol || a.kind == unknown {
		v, err := a.lookup(env)
		return big.NewInt(v), err
	}
	var v *big.Int
	for i, d := range a.args {
		x, err := d.evalBig(env)
		switch {
		case err != nil:
			return nil, err
		case i == 0:
			v = x
			continue
		case a.kind == minimum || a.kind == maximum:
			if x.Cmp(v) < 0 == (a.kind == minimum) {
				v = x
			}
			continue
		case x.Sign() == 0:
			return nil, a.zeroDivisor()
		}
		switch a.kind {
		case floordiv:
			v, _ = floorDivBig(v, x)
		case ceildiv:
			v, _ = floorDivBig(v.Neg(v), x)
			v.Neg(v)
		case mod:
			_, v = floorDivBig(v, x)
		}
	}
	return v, nil
}

// floorDivBig returns the quotient of x and y rounded down and its remainder.
func floorDivBig(x, y *big.Int) (q, r *big.Int) {
	q, r = new(big.Int).QuoRem(x, y, new(big.Int))
	if r.Sign() != 0 && r.Sign() != y.Sign() {
		q.Sub(q, big.NewInt(1))
		r.Add(r, y)
	}
	return q, r
}

// Subst returns d with symbols and unknowns replaced by what env has for them,
// all at once: the replacements are not searched. The keys of env are those of
// [Dim.Eval]. The upper bounds of unknowns that stay are subject to replacement
// too. It is an error if a symbol is replaced by a dim that is known to be less
// than 1 or an unknown by one less than 0, and if a divisor becomes zero.
func (d Dim) Subst(env map[string]Dim) (Dim, error) {
	if d.n == nil || d.Overflow() {
		return d, nil
	}
	sum := make([]Dim, 0, len(d.n.terms)+1)
	sum = append(sum, Dim{c: d.c})
	for _, t := range d.n.terms {
		p := Const(t.coef)
		for _, f := range t.factors {
			x, err := f.subst(env)
			if err != nil {
				return Dim{}, err
			}
			for range f.pow {
				p = Mul(p, x)
			}
		}
		sum = append(sum, p)
	}
	return Sum(sum...), nil
}

func (a *atom) subst(env map[string]Dim) (Dim, error) {
	if a.kind == symbol || a.kind == unknown {
		if d, ok := env[a.bind]; ok {
			least := int64(1)
			if a.kind == unknown {
				least = 0
			}
			if d.rng().hi < least {
				return Dim{}, errfmt.Errorf("dim: %s is %s: want at least %d", brief(a.bind), d.brief(), least)
			}
			return d, nil
		}
	}
	args := make([]Dim, len(a.args))
	same := true
	for i, d := range a.args {
		x, err := d.Subst(env)
		if err != nil {
			return Dim{}, err
		}
		same = same && x.Equal(d)
		args[i] = x
	}
	switch {
	case same:
		return a.dim(), nil
	case a.kind == unknown:
		return Unknown(a.bind[len("?"):], args[0]), nil
	case a.kind == minimum || a.kind == maximum:
		return minMax(a.kind, args...), nil
	}
	d, err := a.kind.divide(args[0], args[1])
	if err != nil {
		return Dim{}, errfmt.Errorf("%w: in %s", err, brief(a.text))
	}
	return d, nil
}

// divide returns the quotient or remainder of a and b for a kind of division.
func (k kind) divide(a, b Dim) (Dim, error) {
	switch k {
	case ceildiv:
		return CeilDiv(a, b)
	case mod:
		return Mod(a, b)
	}
	return FloorDiv(a, b)
}
