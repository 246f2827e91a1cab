package graph

import (
	"fmt"
	"sort"
	"strings"
	"sync"

	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
)

// Op declares an operation once: what it takes, what it means, how it is differentiated and how exactly
// a kernel must compute it. A composite has a Body over other ops instead of Infer and Ref.
//
// Register validates the declaration; one test ranges over all registered ops and checks each against
// its own declaration (see ops.TestAll).
type Op struct {
	// Name is the op's name in text and messages, in snake case: "matmul".
	Name string
	// Doc says what the op computes, with shapes and dtypes, and the source it follows. Its first
	// sentence is what `graphrun ops` lists.
	Doc string
	// ONNX names the operator of the standard that the op corresponds to.
	ONNX ONNX
	// Version counts incompatible changes of meaning; 0 stands for 1.
	Version int

	// Kind is the family in which a reader looks for the op.
	Kind OpKind

	// Args declares the operands in order, Attrs the attributes, Results the names of the results. An op
	// whose number of results varies has Results nil and NumResults set.
	Args       []Arg
	Attrs      []AttrSpec
	Results    []string
	NumResults func(attrs Attrs, operands int) int
	// NumRegions is how many regions (closed functions) a node carries. An op of which that varies from node to node, as it does with the
	// branches of a switch, has NumRegions 0 and Regions set, which answers for any attributes, faulty ones included.
	NumRegions int
	Regions    func(attrs Attrs, operands int) int

	// Infer returns the result types, or calls c.Failf. It runs when a node is declared, in the verifier,
	// and again with constant dims whenever a program is bound to new sizes, so what it refuses is
	// refused with the user's position at whichever time the sizes are known. What it cannot decide before, it asks by
	// InferCtx.MustEqual and Exceeds, which remember that.
	Infer func(c *InferCtx) []Type
	// Grad returns one gradient per operand, the zero Value where there is none. The rule builds ordinary
	// nodes with the functions of package ops, so gradients have gradients. A composite without Grad is
	// differentiated through its body.
	Grad func(g *GradCtx) []Value
	// NoGrad says why an op without Grad has none: its gradient is zero everywhere or undefined.
	NoGrad string
	// Ref computes the results in exact domains. It is the op's meaning; kernels are measured against it.
	Ref func(c *RefCtx)
	// Body computes a composite from its operands, with the functions of package ops.
	Body func(b *BodyCtx) []Value

	Props Props
	// InPlace lists the operands whose storage the first result may take, when sizes agree.
	InPlace []int
	// Tol bounds how far a kernel may be from Ref.
	Tol Tol
	// FLOPs counts what a node computes; see Node.FLOPs for an op without it.
	FLOPs Cost
	// Sample holds the inputs on which the op's test runs, a line each, as Samples reads them; all dims of
	// a sample differ, so that a swapped axis shows. It is a text that only tests read. Those of package ops stand in a
	// table beside the declarations (ops.SamplesOf), which programs do not link.
	Sample string
	// Build declares the node of each sample, for ops that carry regions.
	Build []func(f *Func, in []Value) []Value

	registered *Op // the op itself, once it is; a copy is not registered
}

// Arg declares an operand.
type Arg struct {
	_     [0]func() // declarations are not compared: what compares arrays of them takes 3 kB of a service
	Name  string
	Doc   string
	Types DTypeSet // the dtypes admitted; AnyType admits other types than tensors too
	// Variadic admits any number of operands, none included; only the last Arg may be variadic.
	Variadic bool
	// Window says that the operand lies on windows of the others: pictures show its sizes after the first two axes as the kernel.
	Window bool
}

// AttrSpec declares an attribute. One without a Default must be given.
type AttrSpec struct {
	_       [0]func() // as in Arg
	Name    string
	Kind    AttrKind
	Show    AttrShow
	Default any
	Quiet   bool // at its default, it is not printed
	Doc     string
}

// AttrShow says how a picture shows an attribute that is not at its default.
type AttrShow uint8

// How pictures show an attribute; the latter three are for one number per axis.
const (
	ShowValue AttrShow = iota
	ShowNever          // the types of the results have it, or it tells a reader nothing
	ShowSizes          // as sizes: 3×3
	ShowSteps          // not at all where all are 1, and once where all are equal
	ShowPads           // not at all where all are 0, and once where all are equal
)

// OpKind is a family of ops: its colour in pictures.
type OpKind uint8

// The kinds of ops.
const (
	OtherOp       OpKind = iota // follows from Props and regions where these say it: see Op.Family
	ProductOp                   // matrix products and convolutions
	ElementwiseOp               // each element for itself
	ReductionOp                 // sums, norms, softmax: what goes along an axis
	PoolingOp
	ShapeOp // elements keep what they are and change places
	ViewOp  // all elements of the one operand in another shape or dtype
	RandomOp
	ControlOp // what carries regions or calls
)

// Props are facts on which passes rely.
type Props struct {
	Elementwise bool // each result element depends on the operand elements that broadcast to its place
	Commutative bool // the two operands may be swapped without changing a bit of the result
	Random      bool // two equal nodes are two draws: never merged
	Whole       bool // a composite that targets commonly compute as one: the portable form of a module keeps it
	Structural  bool // handled by the compiler and the executor themselves (constant, read, call, grad)
	Fused       bool // stands for the nodes of its region, which one kernel computes
}

// Tol bounds the distance of a kernel from Ref before Ref rounds, beside the rounding to the result's dtype. Of dtypes below f32, it counts in
// f32, in which kernels compute. See graph/tolerance.go.
type Tol struct {
	// ULP bounds element-wise ops, in units in the last place; 0 means equal bits. A composite that is off by more is held to its body.
	ULP float64
	// Scale is the size of what cancels in a small result: one unit in the last place of that is allowed, too.
	Scale float64
	// Terms, when set, says how many terms are summed into one result element, given the operand types with constant dims. As many roundings
	// of the sum of their absolute values, which Ref gives for absolute operands, are allowed, or fewer if there are many.
	Terms func(in []TensorType, attrs Attrs) int
	// InOrder means that kernels add up the terms one after the other, however many there are.
	InOrder bool
	// Factors means that terms are multiplied, not added.
	Factors bool
	// Pads means that kernels may multiply zeros round operand 0 with operand 1, which gives NaN where that is infinite.
	Pads bool
	// Why justifies a bound above 4 ULP.
	Why string
}

// DTypeSet is a set of dtypes.
type DTypeSet uint64

// The dtype sets that ops use. They are constants, as then declarations are data and no code.
const (
	Floats   DTypeSet = 1<<(F64+1) - 1<<value.F4E2M1
	Integers DTypeSet = 1<<(U64+1) - 1<<value.I2
	Numeric           = Floats | Integers
	Bools    DTypeSet = 1 << Bool
	Texts    DTypeSet = 1 << String
	Indices  DTypeSet = 1<<I32 | 1<<I64
	AnyDType          = Numeric | Bools | Texts
	// AnyType admits every dtype and the types that are not tensors.
	AnyType = AnyDType | 1
)

// DTypes returns the set of the given dtypes.
// Not inlined: 0.7 kB of the service.
//
//go:noinline
func DTypes(ds ...DType) DTypeSet {
	var s DTypeSet
	for _, d := range ds {
		s |= 1 << d
	}
	return s
}

// Has reports whether the set holds d.
func (s DTypeSet) Has(d DType) bool { return s&(1<<d) != 0 }

// String names the set as documentation and messages do.
func (s DTypeSet) String() string {
	switch s {
	case Floats:
		return "float"
	case Integers:
		return "integer"
	case Numeric:
		return "numeric"
	case AnyDType:
		return "any tensor"
	case AnyType:
		return "any type"
	}
	var names []string
	for _, d := range allDTypes {
		if s.Has(d) {
			names = append(names, d.String())
		}
	}
	return strings.Join(names, "|")
}

// Family returns the op's Kind, or what its properties say where it declares none.
func (op *Op) Family() OpKind {
	switch {
	case op.Kind != OtherOp:
		return op.Kind
	case op.Props.Random:
		return RandomOp
	case op.Props.Elementwise:
		return ElementwiseOp
	case op.NumRegions > 0:
		return ControlOp
	}
	return OtherOp
}

// IsComposite reports whether the op is defined by a body over other ops.
func (op *Op) IsComposite() bool { return op.Body != nil }

// NumResultsFor returns the number of results of a node with these attributes and that many operands.
func (op *Op) NumResultsFor(a Attrs, operands int) int {
	if op.NumResults != nil {
		return op.NumResults(a, operands)
	}
	return len(op.Results)
}

// NumRegionsFor returns the number of regions of a node with these attributes and that many operands.
func (op *Op) NumRegionsFor(a Attrs, operands int) int {
	if op.Regions != nil {
		return op.Regions(a, operands)
	}
	return op.NumRegions
}

// regionsFault says what is wrong with the number of regions, "" if nothing is.
func (op *Op) regionsFault(a Attrs, operands, have int) string {
	if op.Regions == nil && op.NumRegions == have {
		return "" // without a call: the verifier asks this of every node, time and again
	}
	return op.varyingFault(a, operands, have)
}

func (op *Op) varyingFault(a Attrs, operands, have int) string {
	if want := op.NumRegionsFor(a, operands); want != have {
		return fmt.Sprintf("want %d regions, have %d", want, have)
	}
	return ""
}

// ResultName returns the declared name of result i, "out" if the op names none.
func (op *Op) ResultName(i int) string {
	if i < len(op.Results) {
		return op.Results[i]
	}
	return fmt.Sprintf("out%d", i)
}

// Arg returns the declaration of operand i, nil if there is none.
func (op *Op) Arg(i int) *Arg {
	if n := len(op.Args); i >= n && n > 0 && op.Args[n-1].Variadic {
		i = n - 1
	}
	if i < len(op.Args) {
		return &op.Args[i]
	}
	return nil
}

// Attr returns the declaration of an attribute, nil if there is none.
func (op *Op) Attr(name string) *AttrSpec {
	for i := range op.Attrs {
		if op.Attrs[i].Name == name {
			return &op.Attrs[i]
		}
	}
	return nil
}

var registry struct {
	sync.RWMutex
	ops map[string]*Op
}

// Register adds an op to the registry after checking its declaration: a name in snake case that is free,
// a doc, results, either Body or both Infer and Ref, either Grad or NoGrad (a composite may leave out
// both), samples, and a reason for a tolerance above 4 ulp. What the samples hold is left to the test of the
// op, as every program pays for start-up. Modules outside this one may register ops.
func Register(op *Op) error {
	if err := validate(op); err != nil {
		return errfmt.Errorf("register op %q: %w", op.Name, err)
	}
	registry.Lock()
	defer registry.Unlock()
	if registry.ops == nil {
		registry.ops = map[string]*Op{}
	}
	if registry.ops[op.Name] != nil {
		return errfmt.Errorf("register op %q: the name is taken", op.Name)
	}
	registry.ops[op.Name] = op
	op.registered = op
	return nil
}

// MustRegister registers an op and returns it; it panics on a faulty declaration, so that one stops the
// program at start-up and not when the op is first used. It is for package-level variables.
// Not inlined: 8.5 kB of the service.
//
//go:noinline
func MustRegister(op *Op) *Op {
	if err := Register(op); err != nil {
		panic(err)
	}
	return op
}

// LookupOp returns the registered op of a name, nil if there is none.
func LookupOp(name string) *Op {
	registry.RLock()
	defer registry.RUnlock()
	return registry.ops[name]
}

// Ops returns all registered ops, sorted by name.
func Ops() []*Op {
	registry.RLock()
	defer registry.RUnlock()
	all := make([]*Op, 0, len(registry.ops))
	for _, op := range registry.ops {
		all = append(all, op)
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

// isSnakeCase reports whether a name is of words of a-z and 0-9, joined by underscores, the first of which begins with a letter.
func isSnakeCase(name string) bool {
	if name == "" || name[0] < 'a' || 'z' < name[0] {
		return false
	}
	for word := range strings.SplitSeq(name, "_") {
		if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return false
		}
	}
	return true
}

func validate(op *Op) error {
	type check struct {
		bad bool
		msg string
	}
	checks := []check{
		{!isSnakeCase(op.Name), "the name is not in snake case"},
		{op.Doc == "", "Doc is missing"},
		{len(op.Results) == 0 && op.NumResults == nil, "Results are missing"},
		{op.NumRegions != 0 && op.Regions != nil, "it has both NumRegions and Regions"},
		{op.Body == nil && op.Infer == nil, "Infer is missing"},
		{op.Body != nil && op.Infer != nil, "a composite's types follow from its Body: drop Infer"},
		{op.Body == nil && op.Ref == nil && !op.Props.Structural, "Ref is missing"},
		{op.Body != nil && op.Ref != nil, "a composite's meaning is its Body: drop Ref"},
		{op.Grad != nil && op.NoGrad != "", "it has both Grad and NoGrad"},
		{op.Body == nil && op.Grad == nil && op.NoGrad == "" && !op.Props.Structural, "Grad is missing; an op without one says why in NoGrad"},
		{op.Tol.ULP > 4 && op.Tol.Why == "", "Tol is above 4 ulp and gives no reason in Why"},
		{op.Tol.ULP < 0, "Tol is negative"},
		{(op.FLOPs.Count == nil) != (op.FLOPs.Doc == "") && !op.Props.Structural, "FLOPs has only one of Doc and Count"},
		{op.Props.Commutative && len(op.Args) != 2, "Commutative is a property of two operands"},
		{op.Props.Fused && op.NumRegions != 1, "Fused is a property of an op with one region"},
	}
	for _, c := range checks {
		if c.bad {
			return errfmt.Errorf("%s", c.msg)
		}
	}
	taken := map[string]bool{"": true}
	for i, a := range op.Args {
		if taken[a.Name] || a.Types == 0 {
			return errfmt.Errorf("operand %d needs a name of its own and Types", i)
		}
		taken[a.Name] = true
		if a.Variadic && i != len(op.Args)-1 {
			return errfmt.Errorf("operand %q is variadic but not last", a.Name)
		}
	}
	for _, a := range op.Attrs {
		if taken[a.Name] || a.Kind == 0 || a.Doc == "" {
			return errfmt.Errorf("attribute %q needs a name of its own, a Kind and a Doc", a.Name)
		}
		taken[a.Name] = true
		if a.Default != nil && kindOf(a.Default) != a.Kind {
			return errfmt.Errorf("attribute %q: the default is a %T, not of kind %v", a.Name, a.Default, a.Kind)
		}
	}
	for _, i := range op.InPlace {
		if i < 0 || i >= len(op.Args) {
			return errfmt.Errorf("InPlace names operand %d of %d", i, len(op.Args))
		}
	}
	return nil
}

// normalizeAttrs checks attributes against the op's declaration and fills in defaults.
func (op *Op) normalizeAttrs(attrs Attrs) (Attrs, error) {
	if len(op.Attrs) == 0 && len(attrs) == 0 {
		return nil, nil
	}
	out := make(Attrs, 0, len(op.Attrs))
	for _, a := range attrs {
		spec := op.Attr(a.Name)
		if spec == nil {
			return nil, errfmt.Errorf("there is no attribute %q: want %s", a.Name, op.attrNames())
		}
		if out.Get(a.Name) != nil {
			return nil, errfmt.Errorf("attribute %q is given twice", a.Name)
		}
		if k := kindOf(a.Value); k != spec.Kind {
			return nil, errfmt.Errorf("attribute %q: want %v, have %T", a.Name, spec.Kind, a.Value)
		}
		if fault := attrFault(a.Value); fault != "" {
			return nil, errfmt.Errorf("attribute %q: %s", a.Name, fault)
		}
		out = append(out, a)
	}
	for _, spec := range op.Attrs {
		if out.Get(spec.Name) != nil {
			continue
		}
		if spec.Default == nil {
			return nil, errfmt.Errorf("attribute %q (%v) is missing", spec.Name, spec.Kind)
		}
		out = append(out, Attr{spec.Name, spec.Default})
	}
	return sortAttrs(out), nil
}

func (op *Op) attrNames() string {
	if len(op.Attrs) == 0 {
		return "none"
	}
	names := make([]string, len(op.Attrs))
	for i, a := range op.Attrs {
		names[i] = a.Name
	}
	return strings.Join(names, ", ")
}

// checkOperands checks the number and the dtypes of operands.
func (op *Op) checkOperands(types []Type) error {
	want := len(op.Args)
	variadic := want > 0 && op.Args[want-1].Variadic
	least := want
	if variadic {
		least--
	}
	if len(types) < least || (len(types) > want && !variadic) {
		more := ""
		if variadic {
			more = " or more"
		}
		return errfmt.Errorf("want %d%s operands, have %d", least, more, len(types))
	}
	for i, t := range types {
		arg := op.Arg(i)
		tt, ok := t.(TensorType)
		if ok && arg.Types.Has(tt.DType) || !ok && arg.Types&1 != 0 {
			continue
		}
		return errfmt.Errorf("%s: want %v, have %s", arg.Name, arg.Types, t)
	}
	return nil
}
