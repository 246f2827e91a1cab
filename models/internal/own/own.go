// Package own lets a layer or an optimizer remember which variables of which module are its own, so that its
// second use in a module finds the variables of the first.
package own

import (
	"sync"
	"weak"

	"github.com/graphrun/graphrun/graph"
)

var _ = graph.MarkLibrary()

// Set holds the names of variables per module. The zero Set is empty. It does not keep modules alive, and modules
// may be built at the same time by several goroutines.
type Set struct {
	mu    sync.Mutex
	names map[weak.Pointer[graph.Module]]map[string]string
}

// Variable returns the variable of m that the owner calls key. On its first use in m it is declared by declare under
// the name that name returns; if that name is another's, the module reports it. It is nil if declare returned nil.
func (s *Set) Variable(m *graph.Module, key string, name func() string, declare func(name string) *graph.Variable) *graph.Variable {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.of(m)
	if n, ok := of[key]; ok {
		return m.LookupVariable(n)
	}
	n := name()
	if declare(n) == nil {
		n = ""
	}
	of[key] = n
	return m.LookupVariable(n)
}

// First reports whether it is called for the first time with m and key: a fault is reported once.
func (s *Set) First(m *graph.Module, key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.of(m)
	if _, ok := of[key]; ok {
		return false
	}
	of[key] = ""
	return true
}

func (s *Set) of(m *graph.Module) map[string]string {
	p := weak.Make(m)
	if s.names == nil {
		s.names = map[weak.Pointer[graph.Module]]map[string]string{}
	}
	if s.names[p] == nil {
		for q := range s.names { // forget modules that are gone
			if q.Value() == nil {
				delete(s.names, q)
			}
		}
		s.names[p] = map[string]string{}
	}
	return s.names[p]
}

// Has reports whether the owner has the key in m already.
func (s *Set) Has(m *graph.Module, key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.of(m)[key]
	return ok
}

// Forget lets the owner use m as if it were new to it.
func (s *Set) Forget(m *graph.Module) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.names, weak.Make(m))
}
