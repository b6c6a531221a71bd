package queue

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// A dispatcher decides which messages may be sent now and hands those, and only
// those, to River. What a host has in River at once is bounded, so a host with
// 100,000 messages that is slow, held or away is passed over like one with a
// single message, and never stands in the way of another.
//
// It learns of messages in three ways: Enqueue tells it, an attempt that ends
// tells it, and it looks by itself, for what other processes and transactions of
// the caller's have brought.
type dispatcher struct {
	q       *Queue
	kick    chan struct{}
	over    chan struct{}
	mu      sync.Mutex
	hosts   map[string]*hostState
	flight  int // claimed and not settled
	holds   map[string]hold
	holding int // counts the changes of holds that were made here
	stopped bool
}

// A hostState is what the dispatcher knows of one destination.
type hostState struct {
	due     int64         // no message is due before; never if none is known
	flight  int           // claimed and not settled
	most    int           // how many may be; grows with success
	pause   time.Time     // nothing is claimed before
	penalty time.Duration // the last pause that was ours to choose
	freed   []chan struct{}
}

const (
	never = 1<<63 - 1

	// lookInterval is how often the dispatcher looks by itself, unless that takes
	// long: then looking is one part in lookShare of the time.
	lookInterval = 200 * time.Millisecond
	lookShare    = 10

	// claimInterval is between two claims, so that each is for many.
	claimInterval = 5 * time.Millisecond
)

func newDispatcher(q *Queue) *dispatcher {
	return &dispatcher{q: q, kick: make(chan struct{}, 1), over: make(chan struct{}), hosts: map[string]*hostState{}, holds: map[string]hold{}}
}

func (d *dispatcher) host(name string) *hostState {
	h := d.hosts[name]
	if h == nil {
		h = &hostState{due: never, most: d.q.cfg.PerHost}
		d.hosts[name] = h
	}
	return h
}

// note tells of a message that is due at a certain time.
func (d *dispatcher) note(host string, due int64) {
	d.mu.Lock()
	h := d.host(host)
	earlier := due < h.due
	h.due = min(h.due, due)
	d.mu.Unlock()
	if earlier {
		d.wake()
	}
}

func (d *dispatcher) wake() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

// run claims until ctx ends.
func (d *dispatcher) run(ctx context.Context) {
	defer close(d.over)
	look := time.Now()
	house := newHousekeeper(d.q)
	for {
		now := time.Now()
		if !now.Before(look) {
			err := d.look(ctx)
			if err != nil && ctx.Err() == nil {
				d.q.trouble(err, "looking for messages")
			}
			house.run(ctx)
			look = time.Now().Add(max(lookInterval, lookShare*time.Since(now)))
		}
		next := look
		if t, err := d.claim(ctx); err != nil && ctx.Err() == nil {
			d.q.trouble(err, "claiming messages")
			d.pauseFor(ctx, time.Second)
		} else if !t.IsZero() && t.Before(next) {
			next = t
		}
		d.pauseFor(ctx, claimInterval)
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-d.kick:
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (d *dispatcher) pauseFor(ctx context.Context, wait time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
}

// plan says how many messages of which host may be claimed now, the hosts with
// the least under way first, and when there will be more to do.
func (d *dispatcher) plan(now time.Time) (n map[string]int, next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return nil, time.Time{}
	}
	type one struct {
		name string
		h    *hostState
	}
	var ready []one
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for name, h := range d.hosts {
		hold, held := d.holds[name]
		switch {
		case h.due == never, h.flight >= h.most, held && hold.holds(now):
		case now.Before(h.pause):
			sooner(h.pause)
		case h.due > stamp(now):
			sooner(unstamp(h.due))
		default:
			ready = append(ready, one{name, h})
		}
	}
	free := d.q.cfg.Workers - d.flight
	if len(ready) == 0 || free <= 0 {
		return nil, next
	}
	slices.SortFunc(ready, func(a, b one) int { return cmp.Compare(a.h.flight, b.h.flight) })
	n = make(map[string]int, len(ready))
	for len(ready) > 0 && free > 0 {
		rest := ready[:0]
		for _, r := range ready {
			if free == 0 {
				break
			}
			n[r.name]++
			free--
			if r.h.flight+n[r.name] < r.h.most {
				rest = append(rest, r)
			}
		}
		ready = rest
	}
	for name := range n {
		d.hosts[name].due = never // until the claim or somebody else says otherwise
	}
	return n, next
}

// claim hands the messages that may be sent to River.
func (d *dispatcher) claim(ctx context.Context) (next time.Time, err error) {
	now := time.Now()
	n, next := d.plan(now)
	if len(n) == 0 {
		return next, nil
	}
	ctx, cancel := d.q.bounded(ctx)
	defer cancel()
	var got map[string][]int64
	var due map[string]int64
	counted := false
	err = within(ctx, d.q.e, false, func(tx transaction) (err error) {
		if got, err = d.q.claim(ctx, tx, n, now); err != nil {
			return err
		}
		var spent []string
		for host, want := range n {
			if len(got[host]) < want {
				spent = append(spent, host)
			}
		}
		if due, err = d.q.nextDue(ctx, tx, spent); err != nil {
			return err
		}
		if d.began(got, 1) == 0 {
			return nil
		}
		counted = true // before River can know of them
		return d.q.e.notify(ctx, tx, d.q.riverQueue)
	})
	if err != nil && counted {
		d.began(got, -1)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for host := range n {
		h := d.host(host)
		if err != nil {
			h.due = min(h.due, stamp(now))
			continue
		}
		if t, ok := due[host]; ok {
			h.due = min(h.due, t)
		} else {
			h.due = min(h.due, stamp(now)) // there may be more, or a hold
		}
	}
	return next, err
}

// began counts claimed messages as under way, or takes that back.
func (d *dispatcher) began(got map[string][]int64, sign int) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for host, ids := range got {
		for _, id := range ids {
			if sign > 0 {
				d.q.flights.Store(id, host)
			} else {
				d.q.flights.Delete(id)
			}
		}
		d.host(host).flight += sign * len(ids)
		d.flight += sign * len(ids)
		n += len(ids)
	}
	return n
}

// done tells that a claimed message is settled, and what was learned of the host.
func (d *dispatcher) done(id int64, delivered bool) {
	name, ok := d.q.flights.LoadAndDelete(id)
	if !ok {
		return
	}
	d.mu.Lock()
	h := d.host(name.(string))
	h.flight--
	d.flight--
	if delivered {
		h.penalty = 0
		h.most = min(2*h.most, d.q.cfg.PerHost)
	}
	more := h.due != never
	d.mu.Unlock()
	if more {
		d.wake()
	}
}

// pause keeps a host's messages back until a certain time. After it, one goes
// first.
func (d *dispatcher) pause(host string, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.host(host)
	if until.After(h.pause) {
		h.pause = until
	}
	h.most = 1
}

// refused is pause for a host that turns everybody away for good, as with
// credentials that are not valid: longer each time, up to ten minutes.
func (d *dispatcher) refused(host string, now time.Time) {
	d.mu.Lock()
	h := d.host(host)
	if !now.Before(h.pause) {
		h.penalty = min(max(2*h.penalty, 15*time.Second), 10*time.Minute)
	}
	until := now.Add(h.penalty)
	d.mu.Unlock()
	d.pause(host, until)
}

// waitFree waits until another attempt at the host ends, or for a while.
func (d *dispatcher) waitFree(ctx context.Context, host string, most time.Duration) {
	c := make(chan struct{})
	d.mu.Lock()
	h := d.host(host)
	h.freed = append(h.freed, c)
	d.mu.Unlock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-c:
	case <-timer.C:
	case <-ctx.Done():
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(h.freed, c); i >= 0 {
		h.freed = slices.Delete(h.freed, i, i+1)
	}
}

// freed tells that a connection to the host is free again: the one goes on that
// has waited longest.
func (d *dispatcher) freed(host string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h := d.host(host); len(h.freed) > 0 {
		close(h.freed[0])
		h.freed = h.freed[1:]
	}
}
