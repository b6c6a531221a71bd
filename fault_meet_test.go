package smtpretry_test

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"math/rand/v2"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/summary"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

var faultSeed = flag.Uint64("fault.seed", 0, "when contexts are cancelled in TestFaults; 0: another each time")

// TestFaults meets every fault at every place on every kind of connection.
// What is to come of it follows from the few rules of expect.
func TestFaults(t *testing.T) {
	seed := *faultSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	sum := new(tally)
	t.Run("ways", func(t *testing.T) {
		for _, way := range ways {
			t.Run(way, func(t *testing.T) {
				t.Parallel()
				chance := rand.New(rand.NewPCG(seed, 0))
				for _, c := range faultCells(way) {
					if c.impossible() == "" {
						t.Run(c.String(), func(t *testing.T) { c.try(t, sum, chance) })
					}
				}
			})
		}
	})
	summary.Add(t, "%v; seed %d", sum, seed)
}

// faultCells are those of a way, with those that do not exist.
func faultCells(way string) (all []faultCell) {
	for _, place := range places {
		for _, f := range faults {
			all = append(all, faultCell{way, place, f})
		}
	}
	return all
}

// keeps says whether the server may have kept a message without saying so. With
// a clear word of its, what it keeps is its own affair.
func (c faultCell) keeps() bool { return c.place.stage == testserver.Dot && c.expect(false).doubt }

// try runs a cell with both policies, with a server that keeps what it does
// not say it kept, and with contexts that end in the middle.
func (c faultCell) try(t *testing.T, sum *tally, chance *rand.Rand) {
	sum.cell()
	long := 100 * time.Millisecond
	for _, m := range []meeting{{}, {keep: true}, {retry: true}, {retry: true, keep: true}} {
		f := c.expect(m.retry)
		if m.keep && !c.keeps() {
			continue
		}
		m.faultCell = c
		r := meet(t, m)
		sum.report(t, &r, append(r.promises(), r.against(f)...))
		long = max(long, r.took)
	}
	deadline := meeting{faultCell: c, ends: time.Second}
	if c.fault.kind == stalls {
		deadline.ends = time.Minute
	}
	cancel := meeting{faultCell: c, cancel: true, keep: c.keeps()}
	if chance.IntN(2) == 0 {
		long = 100 * time.Millisecond // what a message without a fault takes, or so
	}
	cancel.ends = 1 + time.Duration(chance.Int64N(int64(long)))
	for _, m := range []meeting{deadline, cancel} {
		r := meet(t, m)
		sum.report(t, &r, append(r.promises(), r.afterEnd()...))
	}
}

// A meeting is one run of a cell.
type meeting struct {
	faultCell
	retry  bool          // Policy.RetryInDoubt
	keep   bool          // the server keeps a message without saying so
	ends   time.Duration // the context does, after that; 0: never
	cancel bool          // by being cancelled, not by its deadline
}

// A record is what was seen of it.
type record struct {
	meeting
	sent       []parcel // "this" is the one that met the fault
	conns      int      // that the server saw until this one was done
	took, late time.Duration
	closing    time.Duration         // how long Close took
	held       []*testserver.Message // by the server, in the end
	goroutines []string              // left behind
	sockets    int                   // left open
	dialogue   string
}

// A parcel is one message, and what Send said of it.
type parcel struct {
	name string
	to   []string
	body string
	res  *smtpretry.Result
	err  error
	over bool // its context had ended when Send returned
}

// cause is why the contexts of meetings end when they are cancelled.
var errCut = errors.New("cut")

// meet sends three messages: the second, "this", meets the fault; without a
// need for a first there are two.
func meet(t *testing.T, m meeting) (r record) {
	t.Helper()
	r.meeting = m
	synctest.Test(t, func(t *testing.T) { r.run(t) })
	return r
}

func (r *record) run(t *testing.T) {
	before := len(goroutinesHere())
	var armed atomic.Bool
	var sessions atomic.Int64
	cfg := testserver.Config{
		Script: testserver.Script{r.rule(r.keep, armed.Load)},
		OnEvent: func(e testserver.Event) {
			switch e.Kind {
			case testserver.Opened:
				sessions.Add(1)
			case testserver.Closed:
				sessions.Add(-1)
			}
		},
	}
	if r.secure() {
		cfg.TLS, cfg.RequireTLS = testserver.StartTLS, true
	}
	if r.secure() || r.way == ownDial {
		cfg.Users, cfg.RequireAuth = map[string]string{"me": "secret"}, true
	}
	srv := testserver.Start(t, cfg)
	if r.ends > 0 {
		srv.Network().SetDelay(3 * time.Millisecond) // for there to be a middle
	}
	open := new(sockets)
	armed.Store(!r.second() || r.place.stage == testserver.Idle)
	c := r.client(t, srv, open, func(cfg *smtpretry.Config) { cfg.Policy.RetryInDoubt = r.retry })

	if r.second() {
		r.send(t.Context(), t, c, "first", text)
		armed.Store(true)
	}
	if r.place.stage == testserver.Idle {
		time.Sleep(idleAfter)
	}
	ctx, cancel := r.context(t)
	defer cancel()
	sent := text
	if r.place.big {
		sent = bigText
	}
	start := time.Now()
	r.send(ctx, t, c, "this", sent)
	r.took, r.conns = time.Since(start), srv.Stats().Conns
	if r.ends > 0 {
		r.late = max(r.took-r.ends, 0)
	}
	synctest.Wait()
	r.goroutines = leftOf(goroutinesHere(), before+1+int(sessions.Load()))

	if r.place.stage != testserver.Quit {
		armed.Store(false)
		if r.place.stage == testserver.Auth {
			time.Sleep(11 * time.Minute) // a refused account is left alone for 10
		}
		r.send(t.Context(), t, c, "next", text)
	}
	start = time.Now()
	c.Close()
	r.closing = time.Since(start)
	synctest.Wait()
	r.sockets = open.open
	srv.Close()
	synctest.Wait()
	r.goroutines = append(r.goroutines, leftOf(goroutinesHere(), before)...)
	r.held, r.dialogue = srv.Messages(), srv.Transcript()
}

// goroutinesHere returns the stacks of the goroutines in the caller's bubble,
// the caller's first.
func goroutinesHere() (stacks []string) {
	buf := make([]byte, 64<<10)
	buf = buf[:runtime.Stack(buf, true)]
	all := strings.Split(string(buf), "\n\n")
	mine := bubbleName.FindStringSubmatch(all[0])
	for _, stack := range all {
		if name := bubbleName.FindStringSubmatch(stack); name != nil && name[1] == mine[1] {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

var bubbleName = regexp.MustCompile(`^goroutine .*(synctest bubble \d+)`)

// leftOf returns the stacks of a bubble if there are more than expected.
func leftOf(stacks []string, expected int) []string {
	if len(stacks) <= expected {
		return nil
	}
	return stacks[expected:] // the oldest come first, as a rule
}

func (r *record) context(t *testing.T) (context.Context, context.CancelFunc) {
	switch {
	case r.ends == 0:
		return t.Context(), func() {}
	case r.cancel:
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := time.AfterFunc(r.ends, func() { cancel(errCut) }).Stop
		return ctx, func() { stop(); cancel(nil) }
	}
	return context.WithTimeout(t.Context(), r.ends)
}

// cause is what an error has to hold when the context has ended it.
func (m *meeting) cause() error {
	if m.cancel {
		return errCut
	}
	return context.DeadlineExceeded
}

func (r *record) send(ctx context.Context, t *testing.T, c *smtpretry.Client, name, sent string) {
	t.Helper()
	p := parcel{name: name, body: "Comments: " + name + "\r\n" + sent}
	for n := range r.place.rcpts {
		p.to = append(p.to, addressOf(name, n+1))
	}
	m := note(p.to...)
	m.Body = body(p.body)
	p.res, p.err = c.Send(ctx, m)
	p.over = ctx.Err() != nil
	r.sent = append(r.sent, p)
}

// this is the message that met the fault.
func (r *record) this() *parcel {
	for i := range r.sent {
		if r.sent[i].name == "this" {
			return &r.sent[i]
		}
	}
	return nil
}

// client makes the Client that the cell asks for.
func (c faultCell) client(t *testing.T, srv *testserver.Server, open *sockets, change ...func(*smtpretry.Config)) *smtpretry.Client {
	t.Helper()
	connect := func(ctx context.Context) (*smtp.Client, error) {
		conn, err := open.dial(srv)(ctx, "tcp", srv.Addr())
		if err != nil {
			return nil, err
		}
		return smtp.NewClient(conn), nil
	}
	cfg := smtpretry.Config{Host: "mx.example", Limiter: smtpretry.NewLimiter(smtpretry.Limit{})}
	setLimit(t, cfg.Limiter, cfg.Host, smtpretry.Limit{})
	if c.seen() || c.way == redialled {
		cfg.Dialer = &smtpretry.Dialer{Addr: srv.Addr(), NetDial: open.dial(srv)}
	}
	if c.way == freshSteps || c.way == reusedSteps {
		cfg.Dialer.NoPipelining = true
	}
	if c.secure() {
		cfg.Dialer.TLS, cfg.Dialer.TLSConfig = smtpretry.TLSStartTLS, srv.TLSConfig()
		cfg.Dialer.TLSConfig.CurvePreferences = []tls.CurveID{tls.X25519} // the quickest
	}
	if c.way == ownDial {
		cfg.Dial = connect
	}
	if c.secure() || c.way == ownDial {
		cfg.Auth = func(context.Context) (sasl.Client, error) { return sasl.NewPlainClient("", "me", "secret"), nil }
	}
	for _, f := range change {
		f(&cfg)
	}
	if c.way != withoutDial && c.way != redialled {
		client, err := smtpretry.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	existing, err := connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client, err := smtpretry.Wrap(existing, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
