package smtpretry_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/summary"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

var (
	walkSeed  = flag.Uint64("walk.seed", 0, "replay this seed of TestFaultsWalk")
	walkSeeds = flag.Uint64("walk.seeds", 300, "how many seeds TestFaultsWalk runs")
)

// TestFaultsWalk sends many messages from several goroutines through a server
// that does anything at any time, and holds what no fault may lead to.
func TestFaultsWalk(t *testing.T) {
	first, last := uint64(1), *walkSeeds
	if *walkSeed != 0 {
		first, last = *walkSeed, *walkSeed
	}
	sum := new(tally)
	for seed := first; seed <= last && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) { walk(t, rand.New(rand.NewPCG(seed, 0)), sum) })
		if t.Failed() {
			t.Logf("replay with: go test -run '^TestFaultsWalk$' -walk.seed %d .", seed)
		}
	}
	summary.Add(t, "%v; seeds %d to %d", sum, first, last)
}

// walk is one seed.
func walk(t *testing.T, chance *rand.Rand, sum *tally) {
	before := len(goroutinesHere())
	theirs := rand.New(rand.NewPCG(chance.Uint64(), 0)) // the server's chance
	var mu sync.Mutex                                   // of it, and of r
	one := chance.IntN(30) + 2
	anything := func(at testserver.At) *testserver.Action {
		mu.Lock()
		defer mu.Unlock()
		if theirs.IntN(one) != 0 {
			return nil
		}
		f := faults[theirs.IntN(len(faults))]
		do := f.do
		switch {
		case f.name == "endless":
			do = do.Drip(10 * time.Second)
		case at.Stage == testserver.Dot && f.kind != puts421 && f.kind != putsOff && f.kind != tooMany && f.kind != refuses && theirs.IntN(2) == 0:
			do = do.Keep()
		}
		switch at.Stage {
		case testserver.Idle:
			if f.kind == refuses || f.kind == putsOff || f.kind == tooMany || f.kind == succeeds2 {
				return nil // out of step, where it cannot be seen
			}
			do = do.After(time.Duration(1+theirs.IntN(20)) * time.Second)
		case testserver.Body:
			if f.kind == succeeds2 {
				return nil // accepted, it says
			}
			do = do.AtByte(theirs.Int64N(120_000))
		}
		return do
	}
	srv := testserver.Start(t, testserver.Config{Hook: anything, IdleTimeout: 30 * time.Minute})
	srv.Network().SetDelay(time.Duration(chance.IntN(20)) * time.Millisecond)
	open := new(sockets)
	c := faultCell{way: ways[chance.IntN(len(ways))], place: place{stage: testserver.Mail}}
	switch c.way { // without TLS and AUTH
	case fresh, ownDial:
		c.way = reused
	case freshSteps:
		c.way = reusedSteps
	}
	r := &record{meeting: meeting{faultCell: c, retry: chance.IntN(2) == 0}}
	cl := c.client(t, srv, open, func(cfg *smtpretry.Config) {
		cfg.Policy.RetryInDoubt = r.retry
		cfg.Policy.MaxElapsed = 6 * time.Hour
		if c.way != withoutDial {
			cfg.MaxConns = 1 + chance.IntN(4)
		}
	})

	var wg sync.WaitGroup
	for i := range 2 + chance.IntN(8) {
		p := parcel{name: fmt.Sprint(i)}
		for n := range 1 + chance.IntN(4) {
			p.to = append(p.to, addressOf(fmt.Sprintf("m%d", i), n))
		}
		sent := text
		if chance.IntN(4) == 0 {
			sent = bigText[:72*(1400+chance.IntN(700))]
		}
		p.body = "Comments: " + p.name + "\r\n" + sent
		wait := randomTime(chance, 2*time.Hour)
		ctx, cancel := t.Context(), context.CancelFunc(func() {})
		ends, how := randomTime(chance, time.Hour), chance.IntN(4)
		wg.Go(func() {
			time.Sleep(wait)
			switch how {
			case 0:
				ctx, cancel = context.WithTimeout(ctx, ends)
			case 1:
				ctx, cancel = context.WithCancel(ctx)
				defer time.AfterFunc(ends, cancel).Stop()
			}
			defer cancel()
			m := note(p.to...)
			m.Body = body(p.body)
			start := time.Now()
			p.res, p.err = cl.Send(ctx, m)
			mu.Lock()
			defer mu.Unlock()
			if how < 2 {
				r.late = max(r.late, time.Since(start)-ends)
			}
			r.sent = append(r.sent, p)
		})
	}
	wg.Wait()
	cl.Close()
	time.Sleep(quitsWithin) // of a connection that was being closed for having been idle
	synctest.Wait()
	r.sockets = open.open
	srv.Close()
	synctest.Wait()
	r.goroutines = leftOf(goroutinesHere(), before)
	r.held = srv.Messages()
	all := r.promises()
	sum.add(r, all)
	for _, c := range all {
		t.Errorf("%s", c.text)
	}
	if t.Failed() {
		for _, p := range r.sent {
			t.Logf("message %s: %v, %+v", p.name, p.err, p.res)
		}
		t.Log(srv.Transcript())
	}
}
