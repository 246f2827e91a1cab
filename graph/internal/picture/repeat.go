package picture

import (
	"fmt"

	"github.com/graphrun/graphrun/graph"
)

const (
	// leastRepeats is how many times in a row a layer must do the same for the repetitions to become one box.
	leastRepeats = 6
	// longestRepeat is the most nodes that one repetition may have.
	longestRepeat = 128
)

// repeats finds what a layer does over and over, such as the steps of a recurrent layer, and returns for the nodes of all repetitions
// but the first the run that they belong to.
func (b *builder) repeats(f *graph.Func) map[*graph.Node]*repeat {
	type place struct {
		column Column
		scope  string
	}
	places := map[place][]*graph.Node{}
	for _, n := range f.Nodes() {
		if !b.beside(n) && b.parts.column[n] != Optimizer && !b.parts.statistics[n] {
			at := place{b.parts.column[n], n.Scope()}
			places[at] = append(places[at], n)
		}
	}
	of := map[*graph.Node]*repeat{}
	for _, nodes := range places {
		kinds := make([]int, len(nodes))
		ids := map[string]int{}
		for i, n := range nodes {
			what := n.Op().Name
			for r := range n.NumResults() {
				what += " " + n.Result(r).Type().String()
			}
			if _, ok := ids[what]; !ok {
				ids[what] = len(ids)
			}
			kinds[i] = ids[what]
		}
		for _, r := range runs(kinds) {
			r.first = nodes[r.from+r.period]
			for _, n := range nodes[r.from+r.period : r.from+r.period*r.count] {
				of[n] = &r
			}
		}
	}
	return of
}

// repeat is a sequence of the given period that occurs count times in a row.
type repeat struct {
	from, period, count int
	first               *graph.Node // of the second repetition
}

func (r *repeat) title() string { return fmt.Sprintf("%d more steps like this", r.count-1) }

// runs returns the runs of repetitions in a sequence, from the first to the last: of those that begin at a place, the longest, and of
// equally long ones that of the shortest period.
func runs(kinds []int) []repeat {
	n := len(kinds)
	best := make([]repeat, n)
	for period := 1; period <= min(longestRepeat, n/leastRepeats); period++ {
		same := 0 // how many elements from i on are as those a period later
		for i := n - period - 1; i >= 0; i-- {
			if kinds[i] != kinds[i+period] {
				same = 0
				continue
			}
			same++
			r := repeat{from: i, period: period, count: same/period + 1}
			if r.count >= leastRepeats && r.period*r.count > best[i].period*best[i].count {
				best[i] = r
			}
		}
	}
	var out []repeat
	for i := 0; i < n; {
		if best[i].count == 0 {
			i++
			continue
		}
		out = append(out, best[i])
		i += best[i].period * best[i].count
	}
	return out
}
