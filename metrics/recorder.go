package metrics

import (
	"cmp"
	"context"
	"time"

	"github.com/smtpretry/smtpretry"
)

// Options say what a [Recorder] reads. All may be left zero.
type Options struct {
	Limiter  *smtpretry.Limiter // whose hosts are read; nil: none
	Queue    Queue              // what is waiting in a queue; nil: there is none
	MaxHosts int                // counted by name, the first that are met; 0: 100; negative: none. Those of the queue have as many of their own
}

const defaultMaxHosts = 100

// A Sink is given one number: to add to a Counter or UpDown, to note in a Histogram,
// or as what a Gauge stands at. The context is that of the call of Send or Try. It
// must be safe for concurrent use, and must not block.
type Sink func(ctx context.Context, m *Metric, v float64, l Labels)

// A Recorder counts. It is safe for concurrent use.
type Recorder struct {
	opts   Options
	hosts  hosts // the limiter's keys
	routes hosts // the queue's destinations
}

// New returns a Recorder.
func New(o Options) *Recorder {
	most := cmp.Or(o.MaxHosts, defaultMaxHosts)
	return &Recorder{opts: o, hosts: hosts{most: most}, routes: hosts{most: most}}
}

// Trace returns what is to be put into Config.Trace of the clients whose mail is
// counted.
func (r *Recorder) Trace(to Sink) *smtpretry.Trace {
	return &smtpretry.Trace{
		Attempted: func(a smtpretry.Attempt) { r.attempted(to, &a) },
		Waiting: func(w smtpretry.Wait) {
			to(w.Context(), Waiting, 1, Labels{r.hosts.label(w.Host), w.For})
		},
		Waited: func(w smtpretry.Wait) {
			l := Labels{r.hosts.label(w.Host), w.For}
			to(w.Context(), Waiting, -1, l)
			to(w.Context(), WaitDuration, seconds(w.End.Sub(w.Start)), l)
		},
		Finished: func(f smtpretry.Finish) { r.finished(to, &f) },
	}
}

func (r *Recorder) attempted(to Sink, a *smtpretry.Attempt) {
	ctx, host := a.Context(), r.hosts.label(a.Host)
	stage, class, cause := a.Stage, classAccepted, causeOf(a.Verdict)
	if a.Verdict.Rule != "" {
		stage, class = a.Verdict.Stage, a.Verdict.Class.String()
	}
	to(ctx, Attempts, 1, Labels{host, stage.String(), class, cause})
	to(ctx, AttemptDuration, seconds(a.End.Sub(a.Start)), Labels{host, class})
	if a.Number > 1 {
		to(ctx, Retries, 1, Labels{host})
	}
}

func (r *Recorder) finished(to Sink, f *smtpretry.Finish) {
	ctx, host := f.Context(), r.hosts.label(f.Host)
	rcpts, accepted := f.Result.Recipients, 0
	for len(rcpts) > 0 {
		// Most messages end alike for all.
		n, first := 0, rcpts[0]
		for n < len(rcpts) && rcpts[n].State == first.State && rcpts[n].Verdict.Cause == first.Verdict.Cause && rcpts[n].Verdict.Rule == first.Verdict.Rule {
			n++
		}
		to(ctx, Recipients, float64(n), Labels{host, first.State.String(), causeOf(first.Verdict)})
		if first.State == smtpretry.Accepted {
			accepted += n
		}
		rcpts = rcpts[n:]
	}
	outcome := "partial"
	switch accepted {
	case len(f.Result.Recipients):
		outcome = "sent"
	case 0:
		outcome = "failed"
	}
	to(ctx, MessageDuration, seconds(f.End.Sub(f.Start)), Labels{host, outcome})
}

func causeOf(v smtpretry.Verdict) string {
	if v.Rule == "" {
		return causeNone
	}
	return v.Cause.String()
}

func seconds(d time.Duration) float64 { return max(d, 0).Seconds() }
