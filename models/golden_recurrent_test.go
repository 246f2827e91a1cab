package models_test

import (
	"fmt"
	"strings"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/models/nn"
	"github.com/graphrun/graphrun/ops"
)

var _ = register(map[string]builder{
	"RNN":                sequence(nn.RNN, "h0"),
	"LSTM":               sequence(nn.LSTM, "h0", "c0"),
	"GRU":                sequence(nn.GRU, "h0"),
	"RNNCell":            cell(nn.RNNCell, "h"),
	"LSTMCell":           cell(nn.LSTMCell, "h", "c"),
	"GRUCell":            cell(nn.GRUCell, "h"),
	"SeqNet":             training(seqNet),
	"MultiheadAttention": attention,
})

func (c *golden) recurrent() []nn.Option {
	opts := c.bias()
	if c.has("num_layers") {
		opts = append(opts, nn.Layers(c.int("num_layers", 1)))
	}
	if c.flag("bidirectional", false) {
		opts = append(opts, nn.Bidirectional())
	}
	if c.flag("batch_first", false) {
		opts = append(opts, nn.BatchFirst())
	}
	if n := c.str("nonlinearity"); n != "" {
		opts = append(opts, nn.Nonlinearity(n))
	}
	if p := c.num("dropout", 0); p != 0 {
		c.wrong = append(c.wrong, fmt.Sprintf("recurrent layers have no dropout, want %v", p))
	}
	return opts
}

// sequence makes a builder of a recurrent layer whose state has the given parts; a case without them starts from zeros.
func sequence(construct func(in, hidden int, opts ...nn.Option) nn.Recurrent, parts ...string) builder {
	return func(b *build) values {
		var state []graph.Value
		if b.given("inputs", parts[0]) {
			for _, p := range parts {
				state = append(state, b.x(p))
			}
		}
		y, last := construct(b.int("input_size", 0), b.int("hidden_size", 0), b.recurrent()...).Run(b.x("x"), state)
		outs := values{"y": y}
		for i, p := range parts {
			outs[strings.TrimSuffix(p, "0")+"_n"] = last[i]
		}
		return outs
	}
}

func cell(construct func(in, hidden int, opts ...nn.Option) nn.Cell, parts ...string) builder {
	return func(b *build) values {
		var state []graph.Value
		if b.given("inputs", parts[0]) {
			for _, p := range parts {
				state = append(state, b.x(p))
			}
		}
		next := construct(b.int("input_size", 0), b.int("hidden_size", 0), b.recurrent()...).Apply(b.x("x"), state...)
		outs := values{}
		for i, p := range parts {
			outs[p] = next[i]
		}
		return outs
	}
}

// seqNet is a recurrent layer whose last step is classified.
func seqNet(b *build) nn.Layer {
	rnn := nn.LSTM
	if strings.HasPrefix(b.str("architecture"), "GRU") {
		rnn = nn.GRU
	} else if strings.HasPrefix(b.str("architecture"), "RNN") {
		rnn = nn.RNN
	}
	last := nn.Func(func(x graph.Value, _ ...nn.Mode) graph.Value { return ops.At(x, 1, -1) })
	return nn.Sequential(nn.Named("rnn", rnn(3, 6, nn.BatchFirst())), last, nn.Named("fc", nn.Linear(6, 2)))
}

func attention(b *build) values {
	opts := b.bias()
	if b.has("kdim") {
		opts = append(opts, nn.KeySize(b.int("kdim", 0)))
	}
	if b.has("vdim") {
		opts = append(opts, nn.ValueSize(b.int("vdim", 0)))
	}
	if b.flag("batch_first", false) {
		opts = append(opts, nn.BatchFirst())
	}
	var use []nn.AttentionOption
	mask := func(name string, option func(graph.Value) nn.AttentionOption) {
		if b.given("const", name) {
			m := b.x(name)
			if !m.DType().IsFloat() {
				m = ops.Cast(m, graph.Bool)
			}
			use = append(use, option(m))
		}
	}
	mask("attn_mask", nn.AttentionMask)
	mask("key_padding_mask", nn.KeyPaddingMask)
	if !b.flag("average_attn_weights", true) {
		use = append(use, nn.PerHead())
	}
	if !b.flag("need_weights", true) {
		use = append(use, nn.NoWeights())
	}
	query := b.x("query")
	key, val := query, query
	if !b.flag("self_attention", false) {
		key, val = b.x("key"), b.x("value")
	}
	y, weights := nn.MultiheadAttention(b.int("embed_dim", 0), b.int("num_heads", 0), opts...).Attend(query, key, val, use...)
	outs := values{"y": y}
	if b.given("outputs", "weights") {
		outs["weights"] = weights
	}
	return outs
}
