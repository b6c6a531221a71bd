package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const from = "me@example.org"

// A job is what a cell asks of every peer.
type job struct {
	addr  string // the server, or what delays the way there
	conns int
	to    []string
	body  []byte
	count func() (tally, error) // what the server has
}

// A peer is one way to send mail.
type peer struct {
	name string
	open func(job) (sender, error)
}

// A sender sends again and again, over connections that it keeps if it can.
type sender interface {
	// send sends n messages and returns how long that took.
	send(n int) (time.Duration, error)
	close() error
}

// recipients returns n of them.
func recipients(n int) []string {
	to := make([]string, n)
	for i := range to {
		to[i] = fmt.Sprintf("recipient-%d@example.net", i)
	}
	return to
}

// text returns a message of so many octets, in lines of 72.
func text(size int) []byte {
	const head = "From: me@example.org\r\nSubject: hello\r\n\r\n"
	const line = "All work and no play makes Jack a dull boy, and so do all these letters\r\n"
	b := head + strings.Repeat(line, size/len(line)+1)
	return []byte(b[:size-2] + "\r\n")
}

// A link is one connection that sends one message at a time.
type link struct {
	send  func() error
	close func() error
}

// links are the connections of a client that leaves it to its user to have
// several.
type links []link

// dialAll opens a job's connections.
func dialAll(j job, dial func() (link, error)) (sender, error) {
	var all links
	for range j.conns {
		l, err := dial()
		if err != nil {
			return nil, errors.Join(err, all.close())
		}
		all = append(all, l)
	}
	return all, nil
}

func (all links) send(n int) (time.Duration, error) {
	return callers(len(all), n, func(i int) error { return all[i].send() })
}

func (all links) close() error {
	var err error
	for _, l := range all {
		err = errors.Join(err, l.close())
	}
	return err
}

// callers sends n messages from so many goroutines, each of which begins the
// next when its last is through, and tells how long it took. The first error
// ends it.
func callers(many, n int, send func(caller int) error) (time.Duration, error) {
	var left atomic.Int64
	left.Store(int64(n))
	errs := make([]error, many)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range many {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if errs[i] = send(i); errs[i] != nil {
					left.Store(0)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start), errors.Join(errs...)
}
