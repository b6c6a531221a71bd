package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/bench/internal/results"
)

// measureUploads sends large messages, each from a process of its own, and
// looks at how much memory that takes at most.
func measureUploads(s *servers, o options) ([]results.Upload, error) {
	server := sink
	if !s.has(sink) {
		server = bundled
	}
	addr, err := s.at(server, 0)
	if err != nil {
		return nil, err
	}
	count := s.counter(server)
	var all []results.Upload
	for _, peer := range []string{goSMTP.name, smtpretryEach.name} {
		for _, size := range o.uploads {
			before, err := count()
			if err != nil {
				return nil, err
			}
			p, err := startChild("upload", peer, addr, strconv.FormatInt(size, 10))
			if err != nil {
				return nil, err
			}
			p.close()
			u := results.Upload{Peer: peer, Body: size}
			if err := json.Unmarshal([]byte(p.said), &u); err != nil {
				return nil, err
			}
			j := job{to: recipients(1)} // the octets are this peer's own
			if err := arrived(count, before, 1, j); err != nil {
				return nil, err
			}
			log.Printf("%s, %d MiB: heap %s, resident %s", peer, size>>20, results.MB(u.Heap), results.MB(u.RSS))
			all = append(all, u)
		}
	}
	return all, nil
}

// upload is what the process does.
func upload(peer, addr, octets string) error {
	size, err := strconv.ParseInt(octets, 10, 64)
	if err != nil {
		return err
	}
	send := func(size int64) error {
		c, err := smtp.Dial(addr)
		if err != nil {
			return err
		}
		if err := c.SendMail(from, recipients(1), &lines{left: size}); err != nil {
			return err
		}
		return c.Quit()
	}
	if peer != goSMTP.name {
		send = func(size int64) error {
			c, err := newClient(addr, 1, smtpretry.Limit{})
			if err != nil {
				return err
			}
			m := &smtpretry.Message{From: from, To: recipients(1), Size: size,
				Body: func() (io.ReadCloser, error) { return io.NopCloser(&lines{left: size}), nil }}
			if _, err := c.Send(context.Background(), m); err != nil {
				return err
			}
			return c.Quit()
		}
	}
	runtime.GC()
	heap, rss := heapInUse(), resident()
	u := results.Upload{Peer: peer, Body: size}
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			u.Heap = max(u.Heap, heapInUse())
			u.RSS = max(u.RSS, resident())
			select {
			case <-done:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	err = send(size)
	close(done)
	watching.Wait()
	if err != nil {
		return err
	}
	u.Heap -= min(heap, u.Heap)
	u.RSS -= min(rss, u.RSS)
	return json.NewEncoder(os.Stdout).Encode(u)
}

// lines reads as a message of so many octets that is nowhere in memory.
type lines struct{ left, at int64 }

const endless = "All work and no play makes Jack a dull boy, and so do all these letters\r\n"

func (l *lines) Read(b []byte) (int, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), l.left)]
	for i := range b {
		b[i] = endless[(l.at+int64(i))%int64(len(endless))]
	}
	l.at += int64(len(b))
	if l.left -= int64(len(b)); l.left == 0 && len(b) >= 2 {
		copy(b[len(b)-2:], "\r\n")
	}
	return len(b), nil
}

// heapInUse is the runtime's HeapInuse.
func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// resident is what the system has given the process; 0 where that is not known.
func resident() uint64 {
	var pages, in uint64
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(b), &pages, &in); err != nil {
		return 0
	}
	return in * uint64(os.Getpagesize())
}
