package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/graphrun/graphrun/graph"
	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/graph/value/atomicfile"
	"github.com/graphrun/graphrun/graph/value/safetensors"
	"github.com/graphrun/graphrun/models/data"
)

// The files that a training leaves in Config.Dir.
const (
	HistoryCSV  = "history.csv"
	HistoryJSON = "history.json"

	// CheckpointDir holds the module as text, and the variables with the state of the training after the last checkpoint and
	// after the best epoch.
	CheckpointDir   = "checkpoint"
	CheckpointGraph = "model.graph"
	CheckpointLast  = "last.safetensors"
	CheckpointBest  = "best.safetensors"

	// KeptDir is what a checkpoint of an unfinished training is called after another one has begun in its place.
	KeptDir = "checkpoint.old"
)

// ErrNoCheckpoint is the error of ReadCheckpoint where there is none.
var ErrNoCheckpoint = errors.New("there is no checkpoint")

// stateKey is the key of a checkpoint's metadata under which the state stands, as JSON.
const stateKey = "train"

// stateVersion is the version of the state that is written; it is the only one that is read.
const stateVersion = 1

// state is what a training needs besides its variables to go on where it was.
type state struct {
	Version int    `json:"version"`
	Graph   string `json:"graph_sha256"` // of CheckpointGraph

	// What the order of the steps follows from.
	Epochs   int               `json:"epochs"`
	Batch    int               `json:"batch"`
	DropLast bool              `json:"drop_last,omitempty"`
	Seed     uint64            `json:"seed"`
	Train    identity          `json:"train"`
	Held     identity          `json:"validation"`
	Test     identity          `json:"test"`
	TopK     int               `json:"top_k"`
	Monitor  Monitor           `json:"monitor"`
	Schedule *rates            `json:"schedule,omitempty"`
	Settings map[string]string `json:"settings,omitempty"`

	// Where it is: epochs that are over, and of the one under way the steps done, their samples, the sum of their losses, the
	// correct predictions among them and the seconds they took.
	History History `json:"history"`
	Steps   int     `json:"steps"` // of all epochs
	Step    int     `json:"step"`
	Samples int     `json:"samples"`
	Sum     float64 `json:"loss_sum"`
	Correct int     `json:"correct"`
	Counted bool    `json:"counted"` // Correct is, by the logits that the training function returns
	Seconds float64 `json:"seconds"`
	Stopped bool    `json:"stopped_early"`
}

// identity tells datasets apart: the number of examples and a checksum of some of them. The zero value is that of none.
type identity struct {
	Len    int    `json:"len"`
	SHA256 string `json:"sha256,omitempty"` // of the first, the middle and the last example
}

func identify(d data.Dataset) (id identity, err error) {
	if d == nil || d.Len() == 0 {
		return id, nil
	}
	h := sha256.New()
	n := d.Len()
	for _, i := range []int{0, n / 2, n - 1} {
		x, y, err := d.Item(i)
		if err != nil {
			return id, fmt.Errorf("example %d: %w", i, err)
		}
		for _, t := range []*value.Tensor{x, y} {
			if t == nil {
				return id, fmt.Errorf("example %d: the dataset returned a nil tensor", i)
			}
			fmt.Fprintln(h, graph.TypeOf(t), len(t.Strings()))
			h.Write(t.Bytes())
			for _, s := range t.Strings() {
				fmt.Fprintf(h, "%q", s)
			}
		}
	}
	return identity{n, hex.EncodeToString(h.Sum(nil))}, nil
}

// rates are some rates of a schedule, which tell schedules apart.
type rates struct {
	LR    float64    `json:"lr"` // that the schedule was made from
	Steps int        `json:"steps"`
	Rates [3]float64 `json:"rates"` // at the first step, in the middle, at the last step
}

// same reports whether two schedules are one, as far as the rates say: those for other numbers of steps may be. The last bits are
// not compared, which may differ between machines.
func (r *rates) same(s *rates) bool {
	if r == nil || s == nil {
		return r == s
	}
	for i := range r.Rates {
		if r.Steps == s.Steps && math.Abs(r.Rates[i]-s.Rates[i]) > 1e-9*math.Abs(r.Rates[i]) {
			return false
		}
	}
	return true
}

// Checkpoint is a training as it was stored.
type Checkpoint struct {
	Module    *graph.Module            // what is trained, as it was declared
	Variables map[string]*value.Tensor // of all names of the module: weights, optimizer's state, random counters

	// How it was configured.
	Epochs, Batch int
	Seed          uint64
	Settings      map[string]string // Config.Settings

	History History
	Steps   int // updates made, those of the epoch under way included
	Step    int // updates made in the epoch under way
	Stopped bool

	st state
}

// Finished reports whether there was nothing left to do: all epochs had been trained, or it had stopped early.
func (c *Checkpoint) Finished() bool { return c.Stopped || len(c.History) >= c.Epochs }

// ReadCheckpoint reads the last checkpoint of the training whose Config.Dir is dir. The error is ErrNoCheckpoint where
// none has been written. Files are not trusted.
func ReadCheckpoint(dir string) (*Checkpoint, error) { return readCheckpoint(dir, CheckpointLast) }

func readCheckpoint(dir, file string) (*Checkpoint, error) {
	sub := filepath.Join(dir, CheckpointDir)
	f, err := safetensors.Open(os.DirFS(sub), file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoCheckpoint)
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", sub, err)
	}
	graphFile, err := os.Open(filepath.Join(sub, CheckpointGraph))
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	defer graphFile.Close()
	text, err := artifact.ReadText(graphFile, CheckpointGraph)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	c := &Checkpoint{Variables: f.Tensors}
	if err := c.decode(f.Metadata[stateKey], text); err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", filepath.Join(sub, file), err)
	}
	return c, nil
}

func (c *Checkpoint) decode(text string, module []byte) (err error) {
	if text == "" {
		return errors.New("it holds no state of a training")
	}
	st := &c.st
	if err := json.Unmarshal([]byte(text), st); err != nil {
		return fmt.Errorf("its state: %w", err)
	}
	switch {
	case st.Version != stateVersion:
		return fmt.Errorf("its state has version %d: want %d", st.Version, stateVersion)
	case st.Graph != sum(module):
		return fmt.Errorf("it does not belong to the %s beside it", CheckpointGraph)
	case st.Epochs < 1 || st.Batch < 1 || st.Step < 0 || st.Samples < 0 || st.Steps < st.Step:
		return errors.New("its state is inconsistent")
	}
	if c.Module, err = graph.Parse(CheckpointGraph, module, graph.ParseOptions{}); err != nil {
		return err
	}
	for _, v := range c.Module.Variables() {
		t := c.Variables[v.Name()]
		switch {
		case t == nil:
			return fmt.Errorf("the variable @%s is missing, want %s", v.Name(), v.Type())
		case !graph.EqualTypes(graph.TypeOf(t), v.Type()):
			return fmt.Errorf("@%s: want %s, have %s", v.Name(), v.Type(), graph.TypeOf(t))
		}
	}
	if n := len(c.Module.Variables()); len(c.Variables) != n {
		return fmt.Errorf("it holds %d tensors, the module has %d variables", len(c.Variables), n)
	}
	c.Epochs, c.Batch, c.Seed, c.Settings = st.Epochs, st.Batch, st.Seed, st.Settings
	c.History, c.Steps, c.Step, c.Stopped = st.History, st.Steps, st.Step, st.Stopped
	return nil
}

// resume sets a training to a checkpoint, unless that is of another one.
func (t *Trainer) resume(c *Checkpoint) error {
	now, was := &t.st, &c.st
	if t.module.String() != c.Module.String() {
		return fmt.Errorf("the model is not the one of the checkpoint %s", filepath.Join(t.cfg.Dir, CheckpointDir))
	}
	for _, f := range []struct {
		what      string
		now, then any
	}{
		{"batch size", now.Batch, was.Batch},
		{"DropLast", now.DropLast, was.DropLast},
		{"seed", now.Seed, was.Seed},
		{"top-k", now.TopK, was.TopK},
		{"monitor", now.Monitor, was.Monitor},
		{"training set", now.Train, was.Train},
		{"validation set", now.Held, was.Held},
		{"test set", now.Test, was.Test},
	} {
		if f.now == f.then {
			continue
		}
		if id, ok := f.now.(identity); ok {
			if then := f.then.(identity); id.Len != then.Len {
				return fmt.Errorf("the checkpoint comes from a %s of %d examples, this one has %d", f.what, then.Len, id.Len)
			}
			return fmt.Errorf("the checkpoint comes from another %s: the examples differ", f.what)
		}
		return fmt.Errorf("the checkpoint comes from a training with %s %v, this one has %v", f.what, f.then, f.now)
	}
	if err := t.setSchedule(was.Schedule); err != nil {
		return err
	}
	if !now.Schedule.same(was.Schedule) {
		return errors.New("the checkpoint comes from a training with another schedule of the learning rate")
	}
	if len(was.History) > t.cfg.Epochs {
		return fmt.Errorf("the checkpoint has trained %d epochs: want as many or more, have %d", len(was.History), t.cfg.Epochs)
	}
	if was.Step > t.loader.Len() {
		return fmt.Errorf("the checkpoint is at step %d of an epoch, which has %d", was.Step, t.loader.Len())
	}
	for name, x := range c.Variables {
		if err := t.sess.SetVariable(name, x); err != nil {
			return err
		}
	}
	if t.rate != nil {
		if err := t.sess.SetVariable(rateVariable, value.Scalar(t.Rate())); err != nil {
			return err
		}
	}
	now.Graph = was.Graph // of a text that may name other lines than this module
	now.History, now.Steps, now.Step = was.History, was.Steps, was.Step
	now.Samples, now.Sum, now.Seconds = was.Samples, was.Sum, was.Seconds
	now.Correct, now.Counted = was.Correct, was.Counted
	return nil
}

func sum(text []byte) string {
	s := sha256.Sum256(text)
	return hex.EncodeToString(s[:])
}

// begin makes a place for checkpoints and writes the module there. A checkpoint of another training is put aside, or away if
// that is finished.
func (t *Trainer) begin() error {
	if t.cfg.Dir == "" {
		return nil
	}
	sub := filepath.Join(t.cfg.Dir, CheckpointDir)
	for dir, names := range map[string][]string{
		t.cfg.Dir: {HistoryCSV, HistoryJSON}, sub: {CheckpointGraph, CheckpointLast, CheckpointBest},
	} {
		for _, name := range names {
			atomicfile.Clean(filepath.Join(dir, name))
		}
	}
	if t.resumed {
		return t.writeHistory() // a kill may have come between the checkpoint and the history
	}
	if err := t.putAside(sub); err != nil {
		return err
	}
	if err := os.MkdirAll(sub, 0o777); err != nil {
		return err
	}
	var text bytes.Buffer
	if err := graph.Print(&text, t.module, graph.PrintOptions{Locations: true}); err != nil {
		return err
	}
	t.st.Graph = sum(text.Bytes())
	return atomicfile.Write(filepath.Join(sub, CheckpointGraph), func(w io.Writer) error {
		_, err := w.Write(text.Bytes())
		return err
	})
}

// putAside renames a directory of checkpoints of an unfinished training, and removes that of a finished one.
func (t *Trainer) putAside(sub string) error {
	if _, err := os.Stat(sub); err != nil {
		return nil // there is nothing to put aside
	}
	old, err := ReadCheckpoint(t.cfg.Dir)
	if errors.Is(err, ErrNoCheckpoint) || err == nil && old.Finished() {
		// What makes it a checkpoint goes first, so that whoever is killed meanwhile leaves none, and not a part of one.
		if err := os.Remove(filepath.Join(sub, CheckpointLast)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return os.RemoveAll(sub)
	}
	kept := filepath.Join(t.cfg.Dir, KeptDir)
	if err := os.RemoveAll(kept); err != nil {
		return err
	}
	if err := os.Rename(sub, kept); err != nil {
		return err
	}
	t.note("the checkpoint of an unfinished training is kept as %s", kept)
	return nil
}

// write stores variables with the present state under a name in the directory of checkpoints.
func (t *Trainer) write(file string, variables map[string]*value.Tensor) error {
	text, err := json.Marshal(&t.st)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	named := make([]safetensors.Named, 0, len(variables))
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		named = append(named, safetensors.Named{Name: name, Tensor: variables[name]})
	}
	path := filepath.Join(t.cfg.Dir, CheckpointDir, file)
	return atomicfile.Write(path, func(w io.Writer) error {
		return safetensors.WriteChecked(w, named, map[string]string{"format": "pt", stateKey: string(text)})
	})
}

// writeHistory writes the epochs so far.
func (t *Trainer) writeHistory() error {
	if err := atomicfile.Write(filepath.Join(t.cfg.Dir, HistoryCSV), t.st.History.WriteCSV); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(t.cfg.Dir, HistoryJSON), t.st.History.WriteJSON)
}
