package main

import (
	"errors"
	"fmt"
	"log"
	"strconv"
	"time"
)

// A tally is what a server has taken.
type tally struct {
	messages   int
	recipients int // with messages each is counted; -1: the server does not count them
	octets     int64
}

// servers are those that run, each in a process of its own, and what delays the
// way to them, too.
type servers struct {
	real    realSink // nil: there is none on this machine
	bundled *process
	ways    map[way]*process
}

type way struct {
	server    string
	roundTrip time.Duration
}

// A realSink is smtp-sink.
type realSink interface {
	addr() string
	count() (tally, error)
	close() error
}

func startServers() (*servers, error) {
	s := &servers{ways: map[way]*process{}}
	var err error
	if s.bundled, err = startChild("server"); err != nil {
		return nil, err
	}
	if s.real, err = startSink(); err != nil {
		log.Printf("without Postfix, smtp-source and smtp-sink: %v", err)
		s.real = nil
	}
	return s, nil
}

func (s *servers) has(name string) bool { return name == bundled || s.real != nil }

// takesPart says whether a peer can be asked here.
func (s *servers) takesPart(p peer) bool {
	return s.real != nil || p.name != smtpSource.name && p.name != postfix.name
}

func (s *servers) close() {
	for _, w := range s.ways {
		w.close()
	}
	s.bundled.close()
	if s.real != nil {
		if err := s.real.close(); err != nil {
			log.Print(err)
		}
	}
}

// at returns where a server is to be found, so far away.
func (s *servers) at(name string, roundTrip time.Duration) (string, error) {
	addr := s.bundled.said
	if name == sink {
		addr = s.real.addr()
	}
	if roundTrip == 0 {
		return addr, nil
	}
	w := s.ways[way{name, roundTrip}]
	if w == nil {
		var err error
		if w, err = startChild("delay", addr, roundTrip.String()); err != nil {
			return "", err
		}
		s.ways[way{name, roundTrip}] = w
	}
	return w.said, nil
}

// counter tells what a server has taken so far.
func (s *servers) counter(name string) func() (tally, error) {
	if name == sink {
		return s.real.count
	}
	return func() (t tally, err error) {
		said, err := s.bundled.ask("count")
		if err != nil {
			return t, err
		}
		_, err = fmt.Sscan(said, &t.messages, &t.recipients, &t.octets)
		return t, err
	}
}

// patience is how long what was accepted may take to be counted.
const patience = 2 * time.Minute

// arrived checks that a server has exactly those messages more than before: what
// loses some, or sends some twice, has not won.
func arrived(count func() (tally, error), before tally, messages int, j job) error {
	want := before
	want.messages += messages
	if before.recipients >= 0 {
		want.recipients += messages * len(j.to)
		want.octets += int64(messages) * int64(len(j.body))
	}
	var got tally
	var err error
	// The reply may be here before it is counted there, for a moment.
	for end := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
		if got, err = count(); err != nil {
			return err
		}
		if got.messages >= want.messages || time.Now().After(end) {
			break
		}
	}
	// Some clients add a header, so there may be more octets.
	if got.messages == want.messages && got.recipients == want.recipients && got.octets >= want.octets {
		return nil
	}
	return errors.New("not exactly what was sent has arrived: " + strconv.Itoa(got.messages-before.messages) + " messages of " +
		strconv.Itoa(messages) + fmt.Sprintf(", for %d recipients each, of %d octets; the server: %+v, before %+v", len(j.to), len(j.body), got, before))
}
