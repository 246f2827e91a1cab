package optim

import (
	"fmt"
	"slices"
	"strings"
)

// named are the optimizers that New knows, the usual choices first.
var named = []struct {
	name      string
	construct func(lr float64, opts ...Option) *Optimizer
}{
	{"adam", Adam},
	{"sgd", SGD},
	{"momentum", preset(SGD, Momentum(0.9))},
	{"nesterov", preset(SGD, Momentum(0.9), Nesterov())},
	{"adamw", AdamW},
	{"rmsprop", RMSprop},
	{"adagrad", Adagrad},
	{"adadelta", Adadelta},
	{"adamax", Adamax},
	{"nadam", NAdam},
	{"radam", RAdam},
	{"lion", Lion},
}

// preset is a constructor with options that come before the caller's.
func preset(construct func(float64, ...Option) *Optimizer, first ...Option) func(float64, ...Option) *Optimizer {
	return func(lr float64, opts ...Option) *Optimizer { return construct(lr, slices.Concat(first, opts)...) }
}

// Names returns the names that New takes, the usual choices first.
func Names() []string {
	names := make([]string, len(named))
	for i, n := range named {
		names[i] = n.name
	}
	return names
}

// New returns the optimizer of a name, such as "adam"; "momentum" and "nesterov" are SGD with a momentum of 0.9. It is for names that come from a command line or a file.
func New(name string, lr float64, opts ...Option) (*Optimizer, error) {
	for _, n := range named {
		if n.name == name {
			return n.construct(lr, opts...), nil
		}
	}
	return nil, fmt.Errorf("there is no optimizer %q: want one of %s", name, strings.Join(Names(), ", "))
}
