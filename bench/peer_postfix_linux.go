package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/smtpretry/smtpretry/internal/realservers"
)

// smtpSource is Postfix's program for tests, in C. It sends one command at a
// time, and connects anew each time it is run. That is taken off, as the others
// have it behind them.
var smtpSource = peer{"smtp-source", func(j job) (sender, error) {
	s := &source{job: j, start: time.Hour}
	for range 3 {
		took, err := s.run(j.conns)
		if err != nil {
			return nil, err
		}
		s.start = min(s.start, took)
	}
	return s, nil
}}

type source struct {
	job
	start time.Duration // what one message over each connection takes, at best
}

func (s *source) send(n int) (time.Duration, error) {
	took, err := s.run(n)
	each := (n + s.conns - 1) / s.conns // messages on a connection
	if each < 2 {
		return took, err
	}
	rest := max(took-s.start, time.Duration(each-1)*took/time.Duration(2*each)) // start may have been disturbed
	return rest * time.Duration(each) / time.Duration(each-1), err
}

func (s *source) run(n int) (time.Duration, error) {
	number := strconv.Itoa
	cmd, err := realservers.Source("-d", "-s", number(min(s.conns, n)), "-m", number(n),
		"-r", number(len(s.to)), "-l", number(len(s.body)), "-f", from, "-t", s.to[0], s.addr)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("smtp-source: %w\n%s", err, out)
	}
	return time.Since(start), nil
}

func (*source) close() error { return nil }

// postfix is Postfix itself, which delivers its queue over at most so many
// connections. It is filled before the clock starts. It reads each message from
// its disk and keeps account of it there, which the others do not.
var postfix = peer{"Postfix", func(j job) (sender, error) {
	s, err := realservers.StartRelay(j.addr, j.conns)
	if err != nil {
		return nil, err
	}
	return &relay{job: j, server: s}, nil
}}

type relay struct {
	job
	server *realservers.Server
}

func (r *relay) send(n int) (time.Duration, error) {
	fill := source{job: r.job}
	fill.addr, fill.conns = r.server.Addr("relay"), 10
	if _, err := fill.run(n); err != nil {
		return 0, err
	}
	before, err := r.count()
	if err != nil {
		return 0, err
	}
	if err := r.server.Release(); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := r.server.Flush(); err != nil {
		return 0, err
	}
	for {
		now, err := r.count()
		switch {
		case err != nil:
			return 0, err
		case now.messages-before.messages >= n:
			return time.Since(start), nil
		case time.Since(start) > patience:
			return 0, fmt.Errorf("postfix: %d of %d messages have not arrived\n%s", n-now.messages+before.messages, n, r.server.Log())
		}
		time.Sleep(time.Millisecond)
	}
}

func (r *relay) close() error { return r.server.Close() }
