package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/graphrun/graphrun/models/train"
)

// progress shows a bar for each epoch while it runs. It writes to a terminal only, and never to what carries the
// results.
type progress struct {
	out   io.Writer // nil: show nothing
	bar   *progressbar.ProgressBar
	known string // what is known from the epoch before
}

// newProgress returns a progress that draws on w if that is a terminal.
func newProgress(w io.Writer) *progress {
	if f, ok := below(w).(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		return &progress{out: f}
	}
	return &progress{}
}

func (p *progress) step(s train.Step) {
	if p.out == nil {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions(s.Steps,
			progressbar.OptionSetWriter(p.out),
			progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionUseANSICodes(false), // nothing that NO_COLOR forbids
		)
	}
	p.bar.Describe(fmt.Sprintf("epoch %d/%d  loss %.4f%s  %.0f samples/s", s.Epoch, s.Epochs, s.Loss, p.known, s.SamplesPerSecond))
	_ = p.bar.Set(s.Step) // a terminal that is gone is no reason to stop
	if s.Step == s.Steps {
		p.clear()
	}
}

// epoch notes how accurate the model is.
func (p *progress) epoch(e train.Epoch) {
	if m, _ := e.Metrics(); m != nil && m.Classifier {
		p.known = fmt.Sprintf("  accuracy %.2f%%", 100*m.Accuracy())
	}
}

// clear takes the bar away, so that a line of text can be written.
func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Finish()
		_ = p.bar.Clear()
		p.bar = nil
	}
}
