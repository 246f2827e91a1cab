package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/graphrun/graphrun/graph/artifact"
	"github.com/graphrun/graphrun/graph/value"
	"github.com/graphrun/graphrun/models/data"
	"github.com/graphrun/graphrun/runtime"
)

// Run trains to the end and evaluates the test set. If ctx is done, the updates made so far are kept and, with Config.Dir, written
// as a checkpoint; the result says how far it came, and the error is that of ctx. A loss that is not finite is an error that
// ErrDiverged matches and that names the node at fault; the last checkpoint is then the last good one.
//
// Run may be called again after it was interrupted: it goes on.
func (t *Trainer) Run(ctx context.Context) (*Result, error) {
	if t.cfg.Dir != "" && !t.cfg.Locked {
		lock, err := LockDir(t.cfg.Dir)
		if err != nil {
			return t.Progress(), fmt.Errorf("train: %w", err)
		}
		defer lock.Unlock()
	}
	res, err := t.toEnd(ctx)
	if t.rate != nil {
		if fault := t.sess.SetVariable(rateVariable, value.Scalar(t.Rate())); err == nil {
			err = fault
		}
	}
	return res, err
}

func (t *Trainer) toEnd(ctx context.Context) (*Result, error) {
	err := t.run(ctx)
	res := t.Progress()
	if err != nil {
		return res, fmt.Errorf("train: %w", err)
	}
	res.StoppedEarly = len(res.History) < t.cfg.Epochs
	res.Kept = len(res.History) - 1
	if t.cfg.KeepBest {
		if res.Kept, err = res.Best, t.restoreBest(res.Best); err != nil {
			return res, fmt.Errorf("train: %w", err)
		}
	}
	if t.cfg.Test == nil || t.eval == nil {
		return res, nil
	}
	if res.Test = t.last; res.Test == nil {
		m, err := t.evaluate(ctx, t.cfg.Test)
		if err != nil {
			return res, fmt.Errorf("train: test set: %w", err)
		}
		res.Test = &m
	}
	return res, nil
}

func (t *Trainer) run(ctx context.Context) error {
	if t.bad {
		return ErrDiverged
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if made := len(t.st.History)*t.loader.Len() + t.st.Step; made > 0 { // the rate is that of the last step again
		if err := t.setRate(t.sess, made-1); err != nil {
			return err
		}
	}
	if t.safe.variables == nil {
		if err := t.begin(); err != nil {
			return err
		}
		t.saved = time.Now()
		if err := t.snapshot(ctx); err != nil {
			return err
		}
		if !t.resumed && t.cfg.Dir != "" {
			if err := t.write(CheckpointLast, t.safe.variables); err != nil {
				return err
			}
		}
	}
	for !t.Finished() {
		err := t.epoch(ctx)
		if err != nil {
			if t.bad || ctx.Err() == nil {
				return err
			}
			if lost := t.checkpoint(context.WithoutCancel(ctx)); lost != nil {
				return fmt.Errorf("%w; work since the last checkpoint is lost: %w", err, lost)
			}
			return err
		}
	}
	return nil
}

// epoch trains and evaluates the epoch under way, from the step at which it stands.
func (t *Trainer) epoch(ctx context.Context) error {
	st := &t.st
	number := len(st.History) + 1
	if err := t.steps(ctx, number); err != nil {
		return err
	}
	e := Epoch{
		Epoch: number, Steps: st.Steps, Samples: st.Samples,
		TrainLoss: st.Sum / float64(st.Samples), Seconds: st.Seconds,
	}
	if st.Counted {
		correct := st.Correct
		e.TrainCorrect = &correct
	}
	if lr := t.sess.Variable(rateVariable); lr != nil && lr.Len() == 1 && lr.DType().IsFloat() {
		e.LR = float(lr)
	}
	t.last = nil
	set, into := t.cfg.Validation, &e.Validation
	if set == nil {
		set, into = t.cfg.Test, &e.Test
	}
	if set != nil && t.eval != nil {
		m, err := t.evaluate(ctx, set)
		if err != nil {
			return fmt.Errorf("epoch %d: evaluation: %w", number, err)
		}
		if into == &e.Test {
			whole := m
			t.last = &whole
		}
		m.Confusion = nil
		*into = &m
	}
	before := *st
	st.History = append(slices.Clone(st.History), e)
	st.Step, st.Samples, st.Sum, st.Correct, st.Seconds = 0, 0, 0, 0, 0
	st.Stopped = t.stopped() && len(st.History) < t.cfg.Epochs
	if err := t.snapshot(ctx); err != nil {
		*st = before
		return err
	}
	best := st.History.Best(t.cfg.Monitor) == len(st.History)-1
	if best && t.cfg.KeepBest {
		t.best = t.safe.variables
	}
	if t.cfg.Dir != "" {
		// The best first: the last one says which epoch that is.
		if best {
			if err := t.write(CheckpointBest, t.safe.variables); err != nil {
				return err
			}
		}
		if err := t.write(CheckpointLast, t.safe.variables); err != nil {
			return err
		}
		if err := t.writeHistory(); err != nil {
			return err
		}
		t.saved = time.Now()
	}
	if t.cfg.OnEpoch != nil {
		t.cfg.OnEpoch(e)
	}
	return nil
}

// steps makes the updates of the epoch that are still to be made.
func (t *Trainer) steps(ctx context.Context, number int) error {
	st := &t.st
	n := t.loader.Len()
	spent := st.Seconds
	start := time.Now()
	names := []string{t.train.loss}
	if t.train.has(logitsResult) && t.train.target != "" {
		names = append(names, logitsResult)
	}
	var m Metrics
	for b, err := range t.loader.EpochFrom(number-1, st.Step) {
		if err != nil {
			return fmt.Errorf("training set: %w", err)
		}
		if err := t.setRate(t.sess, (number-1)*n+st.Step); err != nil {
			return err
		}
		out, err := t.train.call(ctx, t.sess, b, names)
		if errors.Is(err, errNotFinite) {
			return t.diverged(ctx, t.train, b, fmt.Sprintf("epoch %d, step %d", number, st.Step+1))
		}
		if err != nil {
			err = fmt.Errorf("epoch %d, step %d: %w", number, st.Step+1, err)
			if n > 1 && b.Len() < t.cfg.Batch && ctx.Err() == nil {
				err = fmt.Errorf("%w; the last batch has %d of %d examples: DropLast omits it", err, b.Len(), t.cfg.Batch)
			}
			return err
		}
		loss := float(out[t.train.loss])
		st.Step++
		st.Steps++
		st.Samples += b.Len()
		st.Sum += loss * float64(b.Len())
		if x, _ := out[logitsResult].(*value.Tensor); classifies(x, b.Y) {
			m.Correct = 0
			if err := m.Count(x, b.Y); err != nil {
				return fmt.Errorf("epoch %d, step %d: %w", number, st.Step, err)
			}
			st.Correct, st.Counted = st.Correct+m.Correct, true
		}
		st.Seconds = spent + time.Since(start).Seconds()
		if t.cfg.OnStep != nil {
			t.cfg.OnStep(Step{
				Epoch: number, Epochs: t.cfg.Epochs, Step: st.Step, Steps: n,
				Samples: b.Len(), Loss: loss, SamplesPerSecond: float64(st.Samples) / max(st.Seconds, 1e-9),
			})
		}
		if st.Step == n {
			break // the epoch ends with a checkpoint
		}
		if t.cfg.Dir != "" && (t.cfg.CheckpointSteps > 0 && st.Steps%t.cfg.CheckpointSteps == 0 || time.Since(t.saved) >= t.cfg.CheckpointEvery) {
			if err := t.checkpoint(ctx); err != nil {
				return err
			}
			start, spent = time.Now(), st.Seconds
		}
	}
	return nil
}

func float(v value.Value) float64 { return number(v.(*value.Tensor)) }

// setRate sets the learning rate for a step.
func (t *Trainer) setRate(sess *runtime.Session, step int) error {
	if t.rate == nil {
		return nil
	}
	rate, err := t.rateAt(step)
	if err != nil {
		return err
	}
	return sess.SetVariable(rateVariable, value.Scalar(rate))
}

// checkpoint writes the state within an epoch.
func (t *Trainer) checkpoint(ctx context.Context) error {
	if err := t.snapshot(ctx); err != nil || t.cfg.Dir == "" {
		return err
	}
	t.saved = time.Now()
	return t.write(CheckpointLast, t.safe.variables)
}

// snapshot notes the variables and where training stands. It refuses weights that are not finite: an update can make such of a finite
// loss.
func (t *Trainer) snapshot(ctx context.Context) error {
	variables := t.sess.Variables()
	if name := t.notFinite(variables); name != "" {
		return t.poisoned(ctx, name)
	}
	t.safe = snapshot{variables, len(t.st.History), t.st.Step}
	return nil
}

// restoreBest gives the session the variables that it had after the best epoch, which is not necessarily the last.
func (t *Trainer) restoreBest(best int) error {
	if best == len(t.st.History)-1 {
		return nil
	}
	variables := t.best
	if variables == nil {
		c, err := readCheckpoint(t.cfg.Dir, CheckpointBest)
		if err != nil {
			return err
		}
		if n := len(c.History); n != best+1 {
			return fmt.Errorf("%s is of epoch %d, the best was %d", CheckpointBest, n, best+1)
		}
		variables = c.Variables
	}
	for name, x := range variables {
		if err := t.sess.SetVariable(name, x); err != nil {
			return err
		}
	}
	t.last = nil
	return nil
}

func (t *Trainer) evaluate(ctx context.Context, d data.Dataset) (Metrics, error) {
	var m Metrics
	err := evaluate(ctx, t.sess, t.eval, d, t.options(), t.cfg.TopK, &m, func(b data.Batch) error {
		return t.diverged(ctx, t.eval, b, "")
	})
	return m, err
}

// Evaluate measures a session's variables on a dataset by the model's function "eval", batch examples at a time; see the package's
// documentation for what it must return. Predictions, and with them all counts, do not depend on the batch size; Loss, a
// sum of means, is the same up to rounding. TopK counts among the 5 likeliest classes. If ctx is done, it returns the metrics of
// the batches done with the error of ctx.
func Evaluate(ctx context.Context, sess *runtime.Session, d data.Dataset, batch int) (Metrics, error) {
	return EvaluateTopK(ctx, sess, d, batch, 5)
}

// EvaluateTopK is Evaluate with TopK counted among the k likeliest classes, and not at all if k is 0.
func EvaluateTopK(ctx context.Context, sess *runtime.Session, d data.Dataset, batch, k int) (Metrics, error) {
	if ctx == nil || sess == nil || d == nil {
		return Metrics{}, errors.New("train: want a context, a session and a dataset, have nil")
	}
	var m Metrics
	info, err := artifact.InfoOf(sess.Program().Module)
	var fn *function
	if err == nil {
		fn, err = lookup(sess.Program(), info, artifact.EvalFunc, lossResult)
	}
	if err == nil {
		err = evaluate(ctx, sess, fn, d, data.LoaderOptions{BatchSize: batch, Reuse: true}, k, &m, nil)
	}
	if err != nil {
		return m, fmt.Errorf("evaluate: %w", err)
	}
	return m, nil
}

// evaluate adds up the metrics of a dataset. Without a function for what is not finite, the loss may be so.
func evaluate(
	ctx context.Context, sess *runtime.Session, fn *function, d data.Dataset, opts data.LoaderOptions, topK int,
	m *Metrics, diverged func(data.Batch) error,
) error {
	loader, err := data.NewLoader(d, opts)
	if err != nil {
		return err
	}
	names := []string{lossResult}
	logits := fn.has(logitsResult) && fn.target != ""
	switch {
	case logits:
		names = append(names, logitsResult)
	case fn.has(correctResult):
		names = append(names, correctResult)
	}
	total := 0.0
	for b, err := range loader.Epoch(0) {
		if err != nil {
			return err
		}
		out, err := fn.call(ctx, sess, b, names)
		switch {
		case errors.Is(err, errNotFinite) && diverged != nil:
			return diverged(b)
		case err != nil && !errors.Is(err, errNotFinite):
			return err
		}
		total += float(out[lossResult]) * float64(b.Len())
		if x, _ := out[logitsResult].(*value.Tensor); classifies(x, b.Y) {
			if x.Shape()[1] > topK {
				m.K = topK
			}
			if err := m.Count(x, b.Y); err != nil {
				return err
			}
		} else {
			m.Samples += b.Len()
		}
		if x, _ := out[correctResult].(*value.Tensor); x != nil && x.Len() == 1 {
			m.Classifier = true
			m.Correct += int(number(x))
		}
		m.Loss = total / float64(m.Samples)
	}
	return nil
}

// notFinite returns the name of a weight that holds a NaN or an infinity, "" if there is none.
func (t *Trainer) notFinite(variables map[string]*value.Tensor) string {
	for _, v := range t.sess.Program().Variables {
		if v.Trainable && !finite(variables[v.Name]) {
			return v.Name
		}
	}
	return ""
}

func finite(t *value.Tensor) bool {
	if !t.DType().IsFloat() {
		return true
	}
	for i := range t.Len() {
		if v := t.Float64At(i); v-v != 0 {
			return false
		}
	}
	return true
}

// diverged says why the loss of a batch is not finite. No variable has changed.
func (t *Trainer) diverged(ctx context.Context, fn *function, b data.Batch, where string) error {
	loss := float(fn.now)
	t.bad = true
	if where != "" {
		where += ": "
	}
	for _, x := range []struct {
		what string
		t    *value.Tensor
	}{{"input", b.X}, {"target", b.Y}} {
		for i, index := range b.Index {
			if row := len(x.t.Bytes()) / b.Len(); x.t.DType().IsFloat() {
				example, err := value.FromBytes(x.t.DType(), x.t.Bytes()[i*row:(i+1)*row], x.t.Len()/b.Len())
				if err == nil && !finite(example) {
					return fmt.Errorf("%sthe loss is %v: %w: the %s of example %d of the dataset is not finite", where, loss, ErrDiverged, x.what, index)
				}
			}
		}
	}
	variables := t.sess.Variables()
	if name := t.notFinite(variables); name != "" {
		return t.poisoned(ctx, name)
	}
	return fmt.Errorf("%sthe loss is %v: %w: %w; try a smaller learning rate, or clip gradients", where, loss, ErrDiverged, t.observe(ctx, fn, b, variables))
}

// observe runs a batch once more and returns an error that names the node at fault: the first that makes a NaN, with the one that made
// an infinity if it is made of such, or else the first that makes an infinity.
func (t *Trainer) observe(ctx context.Context, fn *function, b data.Batch, variables map[string]*value.Tensor) error {
	ctx = context.WithoutCancel(ctx) // it takes a step, and is what one who interrupts now wants to know
	var found error
	for _, guard := range []runtime.Option{runtime.NaNGuard(), runtime.InfGuard()} {
		sess, err := runtime.NewSession(t.sess.Program(), runtime.Weights(variables), guard)
		if err != nil {
			return err
		}
		_, err = sess.Run(ctx, fn.f.Name, maps.Clone(fn.feed(b)))
		switch err = errors.Unwrap(err); {
		case err == nil:
		case found == nil:
			found = err
		case strings.Contains(found.Error(), "holds infinities"):
			found = fmt.Errorf("%w; the first infinity: %w", found, err)
		}
	}
	if found == nil {
		return errors.New("no single node is at fault")
	}
	return found
}

// poisoned says which step has made a weight that is not finite: it repeats the steps since the last snapshot.
func (t *Trainer) poisoned(ctx context.Context, name string) error {
	t.bad = true
	generic := fmt.Errorf("the weight @%s is not finite: %w; try a smaller learning rate, or clip gradients", name, ErrDiverged)
	if t.safe.variables == nil {
		return generic
	}
	sess, err := runtime.NewSession(t.sess.Program(), runtime.Weights(t.safe.variables))
	if err != nil {
		return err
	}
	step, n := t.safe.step, t.loader.Len()
	for b, err := range t.loader.EpochFrom(t.safe.epoch, t.safe.step) {
		if err != nil {
			return fmt.Errorf("training set: %w", err)
		}
		if err := t.setRate(sess, t.safe.epoch*n+step); err != nil {
			return err
		}
		before := sess.Variables()
		if _, err := t.train.call(ctx, sess, b, []string{t.train.loss}); err != nil {
			return fmt.Errorf("%w; the failing step could not be repeated: %w", generic, err)
		}
		step++
		if name := t.notFinite(sess.Variables()); name != "" {
			return fmt.Errorf("epoch %d, step %d: the loss is %v, but the update makes @%s not finite: %w: %w; try a smaller learning rate, or clip gradients",
				t.safe.epoch+1, step, float(t.train.now), name, ErrDiverged, t.observe(ctx, t.train, b, before))
		}
	}
	return generic
}
