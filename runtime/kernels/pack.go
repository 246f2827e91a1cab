package kernels

import (
	"sync"
	"weak"

	"github.com/graphrun/graphrun/graph/value"
)

// Layout is an order of the elements of an operand in which a kernel reads it.
type Layout struct {
	// Key, which is comparable, tells layouts apart: a tensor in layouts of one key is the same.
	Key any
	// Pack returns a tensor in the layout, which shares nothing with it.
	Pack func(t *value.Tensor) any
}

// Packed is a tensor in a layout, which any number of kernels read at the same time.
type Packed struct {
	// Data is what Layout.Pack returned; nil before the first Refresh.
	Data any

	layout  *Layout
	mu      sync.Mutex
	version uint64
	shared  *packing // what Data is of, if others read it too
}

// Refresh packs a tensor unless it has been packed in that version. No kernel may read Data while there is a new version. A tensor that
// does not change, which others may hold too, is packed once for all who name the same Packs; nil names none.
func (p *Packed) Refresh(t *value.Tensor, version uint64, among *Packs) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Data != nil && p.version == version {
		return
	}
	p.version = version
	if p.shared = nil; among == nil {
		p.Data = p.layout.Pack(t)
		return
	}
	p.shared = among.share(t, p.layout)
	p.shared.once.Do(func() { p.shared.data = p.layout.Pack(t) })
	p.Data = p.shared.data
}

// packing is what has been made of a tensor.
type packing struct {
	once sync.Once
	data any
}

// Packs holds tensors in layouts, each once. Its zero value is empty; it may be used from several goroutines.
type Packs struct {
	mu     sync.Mutex
	all    map[packKey]*Packed
	shared map[packKey]weak.Pointer[packing] // by tensors, also weak: as long as somebody reads them
}

type packKey struct{ of, layout any }

// Of returns what is packed of a thing, which is comparable, in a layout.
func (p *Packs) Of(thing any, l *Layout) *Packed {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := packKey{thing, l.Key}
	have := p.all[key]
	if have == nil {
		if p.all == nil {
			p.all = map[packKey]*Packed{}
		}
		have = &Packed{layout: l}
		p.all[key] = have
	}
	return have
}

// share returns what all have in common who read a tensor in a layout.
func (p *Packs) share(t *value.Tensor, l *Layout) *packing {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := packKey{weak.Make(t), l.Key}
	if have := p.shared[key].Value(); have != nil {
		return have
	}
	if p.shared == nil {
		p.shared = map[packKey]weak.Pointer[packing]{}
	}
	for k, have := range p.shared {
		if have.Value() == nil { // nobody reads it any more
			delete(p.shared, k)
		}
	}
	made := &packing{}
	p.shared[key] = weak.Make(made)
	return made
}

// Len returns how many tensors there are for good, in different layouts.
func (p *Packs) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all)
}
