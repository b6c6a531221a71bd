//go:build linux

package realservers_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/realservers"
	"github.com/smtpretry/smtpretry/internal/summary"
)

// TestRestart: a server that goes away in the middle of sending, asked to or
// killed, and comes back, has each message exactly once, or it is in doubt.
func TestRestart(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*realservers.Server) error{
		"stopped": (*realservers.Server).Stop,
		"killed":  (*realservers.Server).Kill,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := own(t, realservers.StartPostfix)
			seen := new(attempts)
			c := client(t, s.Addr("postfix-hold"), func(cfg *smtpretry.Config) { cfg.MaxConns, cfg.Trace = 4, seen.trace() })
			const messages, restarts = 400, 2
			to := names("restart-"+name+"-", messages)
			states := make([]smtpretry.State, messages)
			line, goOn := make(chan int), make(chan bool)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for i := range line {
						res, err := c.Send(t.Context(), note(to[i]))
						states[i] = res.Recipients[0].State
						if err != nil && !errors.Is(err, smtpretry.ErrInDoubt) {
							t.Errorf("%s: %v", to[i], err)
						}
					}
				})
			}
			wg.Go(func() {
				for range restarts {
					<-goOn
					if err := end(s); err != nil {
						t.Error(err)
					}
					if err := s.Start(); err != nil {
						t.Error(err)
					}
				}
			})
			for i := range messages {
				if i == messages/4 || i == messages/2 {
					goOn <- true // while the next ones are under way
				}
				line <- i
			}
			close(line)
			wg.Wait()
			// What it took is in its queue; a log may lose its last lines
			// when its writer is killed.
			queue, err := s.Queue()
			if err != nil {
				t.Fatal(err)
			}
			if seen.met(func(v smtpretry.Verdict) bool { return v.Cause == smtpretry.CauseNetwork }) == 0 {
				t.Error("nothing was under way when the server went")
			}
			doubt, there, doubled := 0, 0, 0
			for i, addr := range to {
				n := queue[addr]
				switch {
				case n > 1:
					doubled++
					t.Errorf("%s has mail %d times", addr, n)
				case states[i] == accepted && n != 1:
					t.Errorf("%s is accepted, and has no mail", addr)
				case states[i] == inDoubt:
					doubt++
					there += n
				case states[i] != accepted:
					t.Errorf("%s is %v", addr, states[i])
				}
			}
			summary.Add(t, "Postfix %s twice while %d messages were sent: %d accepted, each there once; %d in doubt, of which %d are there; %d doubled",
				name, messages, messages-doubt, doubt, there, doubled)
		})
	}
}

// TestUnreachable: while nobody listens, a message waits; then it goes.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	s := own(t, func() (*realservers.Server, error) {
		return realservers.StartSinks([]realservers.Sink{{Name: "sink"}})
	})
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	seen := new(attempts)
	var start sync.Once
	c := client(t, s.Addr("sink"), func(cfg *smtpretry.Config) {
		cfg.Policy.Backoff = smtpretry.Backoff{Initial: 100 * time.Millisecond, Max: 100 * time.Millisecond}
		cfg.Trace = seen.trace()
		cfg.Trace.Waiting = func(smtpretry.Wait) {
			if seen.met(func(v smtpretry.Verdict) bool { return v.Stage == smtpretry.StageDial }) == 3 {
				start.Do(func() {
					if err := s.Start(); err != nil {
						t.Error(err)
					}
				})
			}
		}
	})
	wantStates(t, send(t, c, note("patience@example.test")), accepted)
}
