package main

import (
	"errors"
	"fmt"
	"log"
	"runtime"
	"time"

	"github.com/smtpretry/smtpretry/bench/internal/results"
)

// A turn is a peer in a cell.
type turn struct {
	peer
	sender sender
	n      int // messages in each round
	rates  []float64
}

// run lets all peers send in turn, round by round, each time with another one
// first: what disturbs the machine for a while disturbs all, and a ratio of two
// that are neighbours in time says more than either.
func (c *cell) run(s *servers, o options) (_ *results.Cell, err error) {
	addr, err := s.at(c.server, c.roundTrip/max(o.near, 1))
	if err != nil {
		return nil, err
	}
	j := job{addr: addr, conns: c.conns, to: recipients(c.rcpts), body: text(c.body), count: s.counter(c.server)}
	var turns []*turn
	defer func() {
		for _, t := range turns {
			err = errors.Join(err, t.sender.close())
		}
	}()
	for _, p := range c.peers {
		if !s.takesPart(p) {
			continue
		}
		t := &turn{peer: p}
		if t.sender, err = p.open(j); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		turns = append(turns, t)
		if err := t.calibrate(j, max(o.turn, min(o.trips*c.roundTrip, 4*o.turn)), turns[0].n); err != nil {
			return nil, err
		}
	}
	rounds := o.rounds
	if c.roundTrip > 0 {
		rounds = o.delayed
	}
	for round := range rounds {
		for i := range turns {
			t := turns[(round+i)%len(turns)]
			took, err := t.once(j, t.n)
			if err != nil {
				return nil, err
			}
			t.rates = append(t.rates, float64(t.n)/took.Seconds())
		}
	}
	cell := &results.Cell{Name: c.name, Server: c.server, RoundTrip: c.roundTrip, Recipients: c.rcpts, Body: c.body, Conns: c.conns}
	for _, t := range turns {
		cell.Peers = append(cell.Peers, results.Peer{Name: t.name, Messages: t.n, Rates: t.rates})
	}
	report(cell)
	return cell, nil
}

// once sends n messages and checks that they have arrived.
func (t *turn) once(j job, n int) (time.Duration, error) {
	before, err := j.count()
	if err != nil {
		return 0, err
	}
	runtime.GC() // of what the one before has left
	took, err := t.sender.send(n)
	if err == nil {
		err = arrived(j.count, before, n, j)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", t.name, err)
	}
	return took, nil
}

// mostInQueue is what is worth the time to put it into the queue of Postfix.
const mostInQueue = 1000

// calibrate opens what has to be opened, and then finds how many messages take
// so long, but no fewer than least.
func (t *turn) calibrate(j job, aim time.Duration, least int) error {
	most := 1 << 20
	if least = max(least, j.conns); j.conns > 1 {
		least = max(least, 2*j.conns)
	}
	if t.name == postfix.name {
		aim, least, most = 2*aim, 2*j.conns, mostInQueue // it has much to do before it begins
	}
	if _, err := t.once(j, j.conns); err != nil {
		return err
	}
	for t.n = least; ; {
		took, err := t.once(j, t.n)
		if err != nil {
			return err
		}
		want := min(max(int(float64(t.n)*aim.Seconds()/took.Seconds()), least), most)
		if took >= aim/3 || t.n == most {
			t.n = want
			return nil
		}
		t.n = min(want, 8*t.n)
	}
}

// report tells those who wait how it went.
func report(c *results.Cell) {
	log.Printf("%s: go-smtp %.4g messages/s", c.Name, results.Median(c.Peer(results.Base).Rates))
	for _, p := range c.Peers[1:] {
		r, _ := c.Ratio(p.Name, results.Base)
		log.Printf("    %-18s %6.2f (%.2f to %.2f)", p.Name, r.Median, r.Low, r.High)
	}
}
