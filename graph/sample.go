package graph

import (
	"slices"
	"strings"

	"github.com/graphrun/graphrun/graph/errfmt"
)

// Sample is one set of inputs for the op's test.
type Sample struct {
	In    []Feed
	Attrs Attrs
	// NoGrad leaves this sample out of the gradient check, for inputs at kinks; it says why.
	NoGrad string
	// Build declares the node, for ops that carry regions; see Op.Build.
	Build func(f *Func, in []Value) []Value
}

// Feed describes one sample operand.
type Feed struct {
	Type TensorType
	// Lo and Hi bound the values drawn, integers inclusively; both zero means [-2, 2] for floats and
	// [0, 3] for integers.
	Lo, Hi float64
	// Values, when set, are the elements themselves, as the text form spells them: "[1, 2.5, nan]".
	Values string
	// Spread makes all elements differ by at least 0.02 from each other and from the integers, for ops
	// with kinks at ties or at round numbers.
	Spread bool
}

// Samples reads the samples of an op, which stand in Op.Sample a line each: the operands, the attributes in braces, and
// after nograd why the sample is left out of the gradient check.
//
//	f64[2,3], f64[3] {axis=1}
//	f64[2,3] 0.5..3 spread, f64[]
//	f32[4] [nan, inf, -0, 1e30] nograd "infinities"
//	i8|u8|f16[2,3], [2,1] 1..3
//
// An operand is drawn from a range, -2..2 for floats and 0..3 for integers where none is given, or has certain elements,
// as a constant has. See Feed.Spread. A line of several dtypes is a sample for each of them, and an operand without a dtype
// has that of the one before.
func Samples(op *Op) ([]Sample, error) {
	p := &parser{lexer: lexer{src: op.Sample, line: 1}}
	var all []Sample
	fault := p.attempt(func() {
		for p.blank(); p.peek() != 0; p.blank() {
			all = append(all, p.samples(op)...)
		}
	})
	if fault != nil {
		return nil, errfmt.Errorf("op %q: sample in line %d: %s", op.Name, fault.line, fault.msg)
	}
	if op.Build != nil {
		if len(op.Build) != len(all) {
			return nil, errfmt.Errorf("op %q: want a function in Build for each of %d samples, have %d", op.Name, len(all), len(op.Build))
		}
		for i := range all {
			all[i].Build = op.Build[i]
		}
	}
	return all, nil
}

// samples reads a line.
func (p *parser) samples(op *Op) []Sample {
	var s Sample
	var dtypes [][]DType // of each operand
	for p.peek() != '{' && (len(s.In) == 0 || p.accept(',')) {
		if n := len(s.In); n > 0 && p.peek() == '[' {
			dtypes = append(dtypes, dtypes[n-1])
		} else {
			dtypes = append(dtypes, p.dtypes())
		}
		s.In = append(s.In, p.feed())
	}
	if p.accept('{') {
		s.Attrs = p.sampleAttrs(op)
	}
	if p.acceptWord("nograd") {
		s.NoGrad = p.quoted()
	}
	p.endStatement()

	n := 1
	for _, d := range dtypes {
		n = max(n, len(d))
	}
	all := make([]Sample, n)
	for k := range all {
		all[k] = s
		all[k].In = slices.Clone(s.In)
		for i, d := range dtypes {
			all[k].In[i].Type.DType = d[min(k, len(d)-1)]
		}
	}
	return all
}

func (p *parser) dtypes() []DType {
	all := []DType{p.dtype()}
	for p.accept('|') {
		all = append(all, p.dtype())
	}
	return all
}

// feed reads an operand after its dtype.
func (p *parser) feed() (f Feed) {
	p.expect('[')
	f.Type.Shape = p.dims()
	switch c := p.peek(); {
	case c == '[':
		f.Values = p.elements()
	case c == '-' || '0' <= c && c <= '9':
		text := p.number()
		lo, hi, _ := strings.Cut(text, "..")
		var err, err2 error
		f.Lo, err = parseFloat(lo)
		f.Hi, err2 = parseFloat(hi)
		if err != nil || err2 != nil || f.Lo > f.Hi {
			p.failf("want a range such as 0.5..3, have %s", text)
		}
	}
	f.Spread = p.acceptWord("spread")
	return f
}

// sampleAttrs reads what follows the opening brace.
func (p *parser) sampleAttrs(op *Op) (attrs Attrs) {
	for !p.accept('}') {
		if len(attrs) > 0 {
			p.expect(',')
		}
		name := p.name("an attribute")
		spec := op.Attr(name)
		if spec == nil {
			p.failf("there is no attribute %q: want %s", name, op.attrNames())
		}
		p.expect('=')
		attrs = append(attrs, Attr{name, p.attr(spec.Kind)})
	}
	return attrs
}
