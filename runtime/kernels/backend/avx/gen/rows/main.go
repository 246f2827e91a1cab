// Command rows writes the assembly of package avx for rows and columns of matrices: sums, extrema, softmax and standardization.
package main

import (
	"flag"
	"fmt"
	"go/format"
	"log"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/graphrun/graphrun/runtime/kernels/backend/avx/gen/internal/family"
	"github.com/graphrun/graphrun/runtime/kernels/backend/avx/gen/internal/vector"
)

// rows are the kernels: for each instruction set the same ones, in the same order.
var rows = family.New("rowCall", "args *rowOperands", 8)

// The offsets of the fields of rowOperands.
const (
	ldAt       = 0
	rowsAt     = 8
	nAt        = 16
	matricesAt = 24
	vectorsAt  = 48
	scalarsAt  = 64
)

var isas = []vector.ISA{vector.AVX2, vector.AVX512}

// kernel is one function over the rows of matrices: for each row, what goes through it element by element.
type kernel struct {
	name, doc string
	// code is the Go code for element i of row r. What adds up to the result is in the variable result.
	code string
	// matrices are walked row by row, vectors from their start in every row; of scalars there is one per row.
	matrices, vectors, scalars []string
	unroll                     int
	// result names the scalar that is written, which is the last one, by combining what the elements add up to; empty if there is none.
	result  string
	combine func(s vector.ISA) func(a Op, b, to reg.VecVirtual)
	neutral uint64
	// double: the result is float64, and so is what adds up to it.
	double bool
	// flip turns the signs of what is loaded and of the result.
	flip bool
	// each computes on a register of each matrix and vector; what it returns is stored in the first matrix, or goes into the result.
	each func(s vector.ISA, in []reg.VecVirtual, scalar []reg.VecVirtual) reg.VecVirtual
	// both: the value is stored and goes into the result. inPlace: the first matrix is read, too.
	both, inPlace bool
}

// text begins a kernel and returns a function that loads an argument.
func text(name, doc, code string) func(offset int) reg.GPVirtual {
	rows.Text(name, "args *byte", name+" "+doc, code)
	args := Load(Param("args"), GP64())
	return func(offset int) reg.GPVirtual {
		r := GP64()
		MOVQ(Mem{Base: args, Disp: offset}, r)
		return r
	}
}

// add is the combination of sums.
func add(vector.ISA) func(a Op, b, to reg.VecVirtual) {
	return func(a Op, b, to reg.VecVirtual) { VADDPS(a, b, to) }
}

func addDouble(vector.ISA) func(a Op, b, to reg.VecVirtual) {
	return func(a Op, b, to reg.VecVirtual) { VADDPD(a, b, to) }
}

// widen adds the lanes of v, which it destroys, to the half as many lanes of a sum in double precision.
func widen(s vector.ISA, v, sum reg.VecVirtual) {
	low := s.Register()
	if s.Wide() {
		VCVTPS2PD(v.AsY(), low)
		VADDPD(low, sum, sum)
		VEXTRACTF64X4(Imm(1), v, v.AsY())
		VCVTPS2PD(v.AsY(), low)
	} else {
		VCVTPS2PD(v.AsX(), low)
		VADDPD(low, sum, sum)
		VEXTRACTF128(Imm(1), v, v.AsX())
		VCVTPS2PD(v.AsX(), low)
	}
	VADDPD(low, sum, sum)
}

func larger(vector.ISA) func(a Op, b, to reg.VecVirtual) {
	return func(a Op, b, to reg.VecVirtual) { VMAXPS(a, b, to) }
}

// least is the minimum to which NaN and -0 win: both orders of VMINPS together have the bits of both operands where one is NaN or both
// are zero.
func least(s vector.ISA) func(a Op, b, to reg.VecVirtual) {
	return func(a Op, b, to reg.VecVirtual) {
		var t reg.VecVirtual
		switch b.Size() {
		case 16:
			t = XMM()
		case 32:
			t = YMM()
		default:
			t = ZMM()
		}
		VMINPS(a, b, t)
		VMINPS(b, a.(reg.VecVirtual), to)
		if b.Size() == 64 {
			VPORD(t, to, to)
		} else {
			VPOR(t, to, to)
		}
	}
}

const (
	posInf   = 0x7f800000
	negInf   = 0xff800000
	signBits = 0x80000000
)

var kernels = []*kernel{
	{
		name: "rowTop", doc: "stores the maximum of each row; NaN counts as nothing or wins.",
		code:     "result = max(result, x[r*ld+i])",
		matrices: []string{"x"}, result: "top", combine: larger, neutral: negInf, unroll: 4,
		each: func(_ vector.ISA, in, _ []reg.VecVirtual) reg.VecVirtual { return in[0] },
	},
	{
		name: "rowExp", doc: "stores e^(x-top) and the sum of each row.",
		code:     "y[r*ld+i] = exp(x[r*ld+i] - top[r])\nresult += y[r*ld+i]",
		matrices: []string{"y", "x"}, scalars: []string{"top"}, result: "sum", combine: add, unroll: 2, both: true,
		each: func(s vector.ISA, in, c []reg.VecVirtual) reg.VecVirtual {
			VSUBPS(c[0], in[1], in[1])
			s.Exp(in[1])
			return in[1]
		},
	},
	{
		name: "rowSumExp", doc: "stores the sum of e^(x-top) of each row.",
		code:     "result += float64(exp(x[r*ld+i] - top[r]))",
		matrices: []string{"x"}, scalars: []string{"top"}, result: "sum", combine: addDouble, unroll: 2, double: true,
		each: func(s vector.ISA, in, c []reg.VecVirtual) reg.VecVirtual {
			VSUBPS(c[0], in[0], in[0])
			s.Exp(in[0])
			return in[0]
		},
	},
	{
		name: "rowScale", doc: "multiplies each row by its scale.",
		code:     "y[r*ld+i] *= scale[r]",
		matrices: []string{"y"}, scalars: []string{"scale"}, unroll: 4, inPlace: true,
		each: func(_ vector.ISA, in, c []reg.VecVirtual) reg.VecVirtual {
			VMULPS(c[0], in[0], in[0])
			return in[0]
		},
	},
	{
		name: "rowShift", doc: "stores x-top-shift.",
		code:     "y[r*ld+i] = x[r*ld+i] - top[r] - shift[r]",
		matrices: []string{"y", "x"}, scalars: []string{"top", "shift"}, unroll: 4,
		each: func(_ vector.ISA, in, c []reg.VecVirtual) reg.VecVirtual {
			VSUBPS(c[0], in[1], in[1])
			VSUBPS(c[1], in[1], in[1])
			return in[1]
		},
	},
	{
		name: "rowSum", doc: "stores the sum of each row.",
		code:     "result += x[r*ld+i]",
		matrices: []string{"x"}, result: "sum", combine: add, unroll: 4,
		each: func(_ vector.ISA, in, _ []reg.VecVirtual) reg.VecVirtual { return in[0] },
	},
	{
		name: "rowSumWide", doc: "stores the sum of each row in double precision.",
		code:     "result += float64(x[r*ld+i])",
		matrices: []string{"x"}, result: "sum", combine: addDouble, unroll: 4, double: true,
		each: func(_ vector.ISA, in, _ []reg.VecVirtual) reg.VecVirtual { return in[0] },
	},
	{
		name: "rowSquares", doc: "stores the sum of (x-mean)^2 of each row.",
		code:     "d := x[r*ld+i] - mean[r]\nresult += float32(d * d)",
		matrices: []string{"x"}, scalars: []string{"mean"}, result: "sum", combine: add, unroll: 4,
		each: func(_ vector.ISA, in, c []reg.VecVirtual) reg.VecVirtual {
			VSUBPS(c[0], in[0], in[0])
			VMULPS(in[0], in[0], in[0])
			return in[0]
		},
	},
	{
		name: "rowDot", doc: "stores the sum of x*y of each row.",
		code:     "result += float32(x[r*ld+i] * y[r*ld+i])",
		matrices: []string{"x", "y"}, result: "sum", combine: add, unroll: 4,
		each: func(_ vector.ISA, in, _ []reg.VecVirtual) reg.VecVirtual {
			VMULPS(in[1], in[0], in[0])
			return in[0]
		},
	},
	{
		name: "rowNorm", doc: "stores (x-mean)*scale.",
		code:     "y[r*ld+i] = (x[r*ld+i] - mean[r]) * scale[r]",
		matrices: []string{"y", "x"}, scalars: []string{"mean", "scale"}, unroll: 4,
		each: func(_ vector.ISA, in, c []reg.VecVirtual) reg.VecVirtual {
			VSUBPS(c[0], in[1], in[1])
			VMULPS(c[1], in[1], in[1])
			return in[1]
		},
	},
	{
		name: "rowAffine", doc: "stores (x-mean)*scale*weight + bias.",
		code:     "y[r*ld+i] = fma((x[r*ld+i]-mean[r])*scale[r], weight[i], bias[i])",
		matrices: []string{"y", "x"}, scalars: []string{"mean", "scale"}, vectors: []string{"weight", "bias"}, unroll: 2,
		each: func(_ vector.ISA, in, c []reg.VecVirtual) reg.VecVirtual {
			VSUBPS(c[0], in[1], in[1])
			VMULPS(c[1], in[1], in[1])
			VFMADD213PS(in[3], in[2], in[1])
			return in[1]
		},
	},
	{
		name: "rowNormGrad", doc: "stores (dy - mean - y*along)*scale.",
		code:     "dx[r*ld+i] = fma(-y[r*ld+i], along[r], dy[r*ld+i]-mean[r]) * scale[r]",
		matrices: []string{"dx", "dy", "y"}, scalars: []string{"mean", "along", "scale"}, unroll: 2,
		each: func(_ vector.ISA, in, c []reg.VecVirtual) reg.VecVirtual {
			VSUBPS(c[0], in[1], in[1])
			VFNMADD231PS(in[2], c[1], in[1])
			VMULPS(c[2], in[1], in[1])
			return in[1]
		},
	},
	{
		name: "rowMin", doc: "stores the minimum of each row: NaN wins, -0 is below +0.",
		code:     "result = min(result, x[r*ld+i])",
		matrices: []string{"x"}, result: "least", combine: least, neutral: posInf, unroll: 4,
		each: func(_ vector.ISA, in, _ []reg.VecVirtual) reg.VecVirtual { return in[0] },
	},
	{
		name: "rowMax", doc: "stores the maximum of each row: NaN wins, +0 is above -0.",
		code:     "result = max(result, x[r*ld+i])",
		matrices: []string{"x"}, result: "greatest", combine: least, neutral: negInf, flip: true, unroll: 4,
		each: func(_ vector.ISA, in, _ []reg.VecVirtual) reg.VecVirtual { return in[0] },
	},
}

func (k *kernel) generate(s vector.ISA) {
	load := text(k.name+s.Name, k.doc, k.loop())
	var matrices, vectors, scalars []reg.GPVirtual
	for i := range k.matrices {
		matrices = append(matrices, load(matricesAt+8*i))
	}
	for i := range k.vectors {
		vectors = append(vectors, load(vectorsAt+8*i))
	}
	for i := range k.scalars {
		scalars = append(scalars, load(scalarsAt+8*i))
	}
	ld, rows := load(ldAt), load(rowsAt)
	var result reg.GPVirtual
	if k.result != "" {
		result = load(scalarsAt + 8*len(k.scalars))
	}
	SHLQ(Imm(2), ld)
	// In bytes: where the unrolled loop and the loop of single registers end.
	tail := load(nAt)
	far, near := GP64(), GP64()
	MOVQ(tail, far)
	ANDQ(I32(int32(-k.unroll*s.Lanes())), far)
	SHLQ(Imm(2), far)
	MOVQ(tail, near)
	ANDQ(I32(int32(-s.Lanes())), near)
	SHLQ(Imm(2), near)
	ANDQ(Imm(uint64(s.Lanes()-1)), tail)
	end := s.NewTail(tail)
	var neutral, sign reg.VecVirtual
	var acc []reg.VecVirtual
	if k.result != "" {
		for range k.unroll {
			acc = append(acc, s.Register())
		}
		if k.neutral != 0 {
			neutral = s.Register()
			VMOVUPS(vector.Float32.Bits(k.neutral), neutral)
		}
	}
	if k.flip {
		sign = s.Register()
		VMOVUPS(vector.Float32.Bits(signBits), sign)
	}
	off := GP64()

	Label("row")
	var c []reg.VecVirtual
	for _, p := range scalars {
		v := s.Register()
		VBROADCASTSS(Mem{Base: p}, v)
		ADDQ(Imm(4), p)
		c = append(c, v)
	}
	for _, a := range acc {
		switch {
		case k.neutral == 0:
			s.Zero(a)
		case k.flip:
			s.Xor(sign, neutral, a)
		default:
			VMOVAPS(neutral, a)
		}
	}
	XORQ(off, off)
	var combine func(a Op, b, to reg.VecVirtual)
	if k.combine != nil {
		combine = k.combine(s)
	}
	// step does the registers from off on.
	step := func(count int, last bool) {
		for u := range count {
			var in []reg.VecVirtual
			for i, p := range append(append([]reg.GPVirtual(nil), matrices...), vectors...) {
				v := s.Register()
				in = append(in, v)
				m := Mem{Base: p, Index: off, Scale: 1, Disp: u * s.Bytes}
				if i == 0 && k.stores() && !k.inPlace {
					continue // written only
				}
				switch {
				case last && neutral != nil:
					end.LoadOver(m, neutral, v)
				case last:
					end.Load(m, v)
				default:
					VMOVUPS(m, v)
				}
				if k.flip {
					s.Xor(sign, v, v)
				}
			}
			v := k.each(s, in, c)
			if k.result != "" {
				if last && k.neutral == 0 {
					end.Clear(v)
				}
				if k.double {
					widen(s, v, acc[u])
				} else {
					combine(v, acc[u], acc[u])
				}
			}
			if k.stores() {
				m := Mem{Base: matrices[0], Index: off, Scale: 1, Disp: u * s.Bytes}
				if last {
					end.Store(v, m)
				} else {
					VMOVUPS(v, m)
				}
			}
		}
	}
	CMPQ(off, far)
	JGE(LabelRef("single"))
	Label("unrolled")
	step(k.unroll, false)
	ADDQ(U32(k.unroll*s.Bytes), off)
	CMPQ(off, far)
	JLT(LabelRef("unrolled"))
	Label("single")
	CMPQ(off, near)
	JGE(LabelRef("tail"))
	Label("loop")
	step(1, false)
	ADDQ(U32(s.Bytes), off)
	CMPQ(off, near)
	JLT(LabelRef("loop"))
	Label("tail")
	TESTQ(tail, tail)
	JZ(LabelRef("end"))
	step(1, true)
	Label("end")
	if k.result != "" {
		for w := len(acc) / 2; w > 0; w /= 2 {
			for i := range w {
				combine(acc[i+w], acc[i], acc[i])
			}
		}
		low := s.Horizontal(acc[0], k.double, combine)
		if k.flip {
			VPXOR(sign.AsX(), low, low)
		}
		if k.double {
			VMOVSD(low, Mem{Base: result})
			ADDQ(Imm(8), result)
		} else {
			VMOVSS(low, Mem{Base: result})
			ADDQ(Imm(4), result)
		}
	}
	for _, p := range matrices {
		ADDQ(ld, p)
	}
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// loop is the Go code of the kernel. What adds up is in several sums, which are then added.
func (k *kernel) loop() string {
	start, end := "", ""
	if k.result != "" {
		zero := "float32(0)"
		switch {
		case k.double:
			zero = "0.0"
		case k.neutral == posInf:
			zero = "float32(math.Inf(1))"
		case k.neutral == negInf:
			zero = "float32(math.Inf(-1))"
		}
		start, end = "result := "+zero, k.result+"[r] = result"
	}
	return fmt.Sprintf("for r := range rows {\n%s\nfor i := range n {\n%s\n}\n%s\n}", start, k.code, end)
}

func (k *kernel) stores() bool { return k.result == "" || k.both }

// column writes a kernel that combines the rows of a matrix, element by element.
func column(s vector.ISA, name, doc, code string, combine func(a Op, b, to reg.VecVirtual), flip bool) {
	load := text(name+s.Name, doc, fmt.Sprintf("copy(y[:n], x)\nfor r := 1; r < rows; r++ {\nfor i := range n {\n%s\n}\n}", code))
	x, ld, rows, n, y := load(matricesAt), load(ldAt), load(rowsAt), load(nAt), load(vectorsAt)
	SHLQ(Imm(2), ld)
	DECQ(rows)
	var sign reg.VecVirtual
	if flip {
		sign = s.Register()
		VMOVUPS(vector.Float32.Bits(signBits), sign)
	}
	tail := GP64()
	MOVQ(n, tail)
	ANDQ(Imm(uint64(s.Lanes()-1)), tail)
	end := s.NewTail(tail)
	block := func(width int, last bool) {
		label := fmt.Sprintf("%d", width)
		if last {
			label = "tail"
		}
		at, left := GP64(), GP64()
		MOVQ(x, at)
		MOVQ(rows, left)
		read := func(i int, v reg.VecVirtual) {
			m := Mem{Base: at, Disp: i * s.Bytes}
			if last {
				end.Load(m, v)
			} else {
				VMOVUPS(m, v)
			}
			if flip {
				s.Xor(sign, v, v)
			}
		}
		var acc []reg.VecVirtual
		for i := range width {
			acc = append(acc, s.Register())
			read(i, acc[i])
		}
		TESTQ(left, left)
		JZ(LabelRef("store" + label))
		Label("rows" + label)
		ADDQ(ld, at)
		for i := range width {
			v := s.Register()
			read(i, v)
			combine(v, acc[i], acc[i])
		}
		DECQ(left)
		JNZ(LabelRef("rows" + label))
		Label("store" + label)
		for i := range width {
			if flip {
				s.Xor(sign, acc[i], acc[i])
			}
			m := Mem{Base: y, Disp: i * s.Bytes}
			if last {
				end.Store(acc[i], m)
			} else {
				VMOVUPS(acc[i], m)
			}
		}
		if !last {
			ADDQ(U32(width*s.Bytes), x)
			ADDQ(U32(width*s.Bytes), y)
			SUBQ(U32(width*s.Lanes()), n)
		}
	}
	for _, width := range []int{8, 1} {
		Label(fmt.Sprintf("block%d", width))
		CMPQ(n, U32(width*s.Lanes()))
		JLT(LabelRef(fmt.Sprintf("after%d", width)))
		block(width, false)
		JMP(LabelRef(fmt.Sprintf("block%d", width)))
		Label(fmt.Sprintf("after%d", width))
	}
	TESTQ(tail, tail)
	JZ(LabelRef("end"))
	block(1, true)
	Label("end")
	VZEROUPPER()
	RET()
}

func main() {
	tables := flag.String("tables", "", "output file of the tables of kernels")
	flag.Parse()
	ConstraintExpr("amd64,!noasm")
	for _, s := range isas {
		for _, k := range kernels {
			k.generate(s)
		}
		column(s, "colSum", "stores the sum of each column, in the order of the rows.", "y[i] += x[r*ld+i]", add(s), false)
		column(s, "colMin", "stores the minimum of each column: NaN wins, -0 is below +0.", "y[i] = min(y[i], x[r*ld+i])", least(s), false)
		column(s, "colMax", "stores the maximum of each column: NaN wins, +0 is above -0.", "y[i] = max(y[i], x[r*ld+i])", least(s), true)
	}
	src, err := format.Source([]byte(tablesFile()))
	if err != nil {
		log.Fatal(err)
	}
	family.Generate(*tables, src)
}

// tablesFile returns the Go file that numbers the kernels.
func tablesFile() string {
	var w strings.Builder
	w.WriteString("// Code generated by gen/rows. DO NOT EDIT.\n\n//go:build amd64 && !noasm\n\npackage avx\n\n")
	w.WriteString("// The kernels of rows and columns by the numbers of AVX2.\nconst (\n_ = iota\n")
	for _, k := range kernels {
		fmt.Fprintln(&w, k.name)
	}
	w.WriteString("colSum\ncolMin\ncolMax\n)\n\nvar rowNames = [...]string{\n")
	for _, k := range kernels {
		fmt.Fprintf(&w, "%s: %q,\n", k.name, strings.ToUpper(k.name[:1])+k.name[1:])
	}
	w.WriteString("colSum: \"ColSum\",\ncolMin: \"ColMin\",\ncolMax: \"ColMax\",\n}\n\n")
	fmt.Fprintf(&w, "// rowWide is what the number of a kernel of AVX-512 is above that of AVX2.\nconst rowWide = %d\n", len(kernels)+3)
	return w.String()
}
