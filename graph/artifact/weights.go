package artifact

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/errfmt"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/safetensors"
)

// LoadWeights reads values of m's variables from a .safetensors file of fsys, as ReadWeights does.
func LoadWeights(fsys fs.FS, name string, m *graph.Module) (map[string]*value.Tensor, error) {
	if fsys == nil || m == nil {
		return nil, errNil
	}
	file, err := safetensors.Open(fsys, name)
	if err != nil {
		return nil, err
	}
	w, err := MatchWeights(m, file.Tensors)
	if err != nil {
		return nil, errfmt.Errorf("%s: %w", name, err)
	}
	return w, nil
}

// ReadWeights reads values of m's variables in the format .safetensors, for instance a state_dict of PyTorch:
//
//	safetensors.torch.save_file(model.state_dict(), "weights.safetensors")
//
// Names are held against those of the variables as MatchWeights does it.
func ReadWeights(r io.Reader, m *graph.Module) (map[string]*value.Tensor, error) {
	if r == nil || m == nil {
		return nil, errNil
	}
	file, err := safetensors.Read(r, -1)
	if err != nil {
		return nil, errfmt.Errorf("weights: %w", err)
	}
	w, err := MatchWeights(m, file.Tensors)
	if err != nil {
		return nil, errfmt.Errorf("weights: %w", err)
	}
	return w, nil
}

// MatchWeights returns the tensors that are values of m's variables, by their names, which are those of a PyTorch
// state_dict. The error, one line, names all that are missing, of another type, or of no variable. Variables that need
// no value are the state of optimizers, random keys and counters: a session initializes them. Tensors need no variable
// if they are stored constants ("const.") or, as PyTorch's layers always have them, counters "num_batches_tracked".
//
// Floats of fewer bits than those of the variable, such as bf16 for f32, become what they are exactly. What DataParallel and torch.compile put
// into names, "module." at the beginning and "_orig_mod." anywhere, is left out where the model has no variable of the whole name.
func MatchWeights(m *graph.Module, tensors map[string]*value.Tensor) (map[string]*value.Tensor, error) {
	if m == nil {
		return nil, errNil
	}
	matched := map[string]*value.Tensor{}
	var missing, wrong, unknown []string
	tensors, twice := unwrapped(m, tensors)
	for _, v := range m.Variables() {
		t := tensors[v.Name()]
		switch {
		case t == nil && !v.IsOptimizerState() && (v.Trainable() || v.Type().DType.IsFloat()):
			missing = append(missing, fmt.Sprintf("@%s %s", v.Name(), v.Type()))
		case t == nil:
		case !graph.EqualTypes(v.Type(), graph.TypeOf(t)):
			if t = widened(t, v.Type()); t == nil {
				wrong = append(wrong, fmt.Sprintf("@%s: want %s, have %s", v.Name(), v.Type(), graph.TypeOf(tensors[v.Name()])))
				continue
			}
			matched[v.Name()] = t
		default:
			matched[v.Name()] = t
		}
	}
	for _, name := range sortedKeys(tensors) {
		local := name[strings.LastIndexByte(name, '.')+1:]
		if m.LookupVariable(name) == nil && !strings.HasPrefix(name, graph.ExternalPrefix) && local != "num_batches_tracked" {
			unknown = append(unknown, fmt.Sprintf("%q %s", name, graph.TypeOf(tensors[name])))
		}
	}
	var faults []string
	if len(twice) > 0 {
		faults = append(faults, "there are two values for "+value.Few(twice))
	}
	if len(wrong) > 0 {
		faults = append(faults, value.Few(wrong))
	}
	if len(missing) > 0 {
		faults = append(faults, "there is no value for "+value.Few(missing))
	}
	if len(unknown) > 0 {
		faults = append(faults, "the model has no variable for "+value.Few(unknown))
	}
	if len(faults) > 0 {
		return nil, errors.New(strings.Join(faults, "; "))
	}
	return matched, nil
}

// unwrapped returns tensors under the names of the model's variables, without what wrappers of PyTorch put into them, and the variables
// that two of them are for.
func unwrapped(m *graph.Module, tensors map[string]*value.Tensor) (plain map[string]*value.Tensor, twice []string) {
	plain = map[string]*value.Tensor{}
	for _, name := range sortedKeys(tensors) {
		local := name
		if m.LookupVariable(name) == nil {
			parts := strings.Split(name, ".")
			kept := parts[:0]
			for _, p := range parts {
				if p != "_orig_mod" && (p != "module" || len(kept) > 0) {
					kept = append(kept, p)
				}
			}
			if inner := strings.Join(kept, "."); m.LookupVariable(inner) != nil {
				local = inner
			}
		}
		if plain[local] != nil {
			twice = append(twice, "@"+local)
		}
		plain[local] = tensors[name]
	}
	return plain, twice
}

// widened returns floats as those of a type of more bits, nil if they are not of its shape or not such floats.
func widened(t *value.Tensor, to graph.TensorType) *value.Tensor {
	from := t.DType()
	if !from.IsFloat() || to.DType != graph.F32 && to.DType != graph.F64 || from.Bits() >= to.DType.Bits() {
		return nil
	}
	wide, err := value.CastExactly(t, to.DType)
	if err != nil || !graph.EqualTypes(to, graph.TypeOf(wide)) {
		return nil
	}
	return wide
}

// few joins the first few of many faults.
func few(faults []error) error {
	const most = 10
	if more := len(faults) - most; more > 1 {
		faults = append(faults[:most], errfmt.Errorf("and %d more", more))
	}
	return errors.Join(faults...)
}

// StateDict returns the values that a state_dict of the same layers in PyTorch has: of all variables but an optimizer's
// state and random keys.
func (a *Artifact) StateDict() map[string]*value.Tensor {
	dict := map[string]*value.Tensor{}
	for _, v := range a.Module.Variables() {
		if t := a.Weights[v.Name()]; t != nil && !v.IsOptimizerState() && v.Type().DType != graph.U64 {
			dict[v.Name()] = t
		}
	}
	return dict
}
