package optim

import (
	"fmt"
	"strings"
)

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
