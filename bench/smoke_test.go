package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry/bench/internal/results"
)

// TestSmoke runs what make bench does, with some cells of each kind and as few
// messages as there can be: what it measures is worth nothing.
func TestSmoke(t *testing.T) {
	o := options{rounds: 1, delayed: 1, turn: time.Microsecond, calls: 100, uploads: []int64{100_000}, micro: "1x", near: 10,
		only: regexp.MustCompile("^(no delay, 10 MiB|no delay, 50 connections|20 ms|100 ms, 10 .*|bundled server|upload|waiting|limiter)$")}
	run, err := measure(o)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "stat")
	if err := writeStat(name, run); err != nil {
		t.Fatal(err)
	}
	_, err = postfixVersion()
	complete := err == nil || os.Getenv("CI") != "" // elsewhere there may be none
	for _, c := range cells {
		if !o.wants(c.name) || c.server == sink && !complete {
			continue
		}
		got := run.Cell(c.name)
		if got == nil {
			t.Errorf("%s was not measured", c.name)
			continue
		}
		for _, p := range c.peers {
			if p.name == smtpSource.name && !complete {
				continue
			}
			if r, ok := got.Ratio(p.name, results.Base); !ok || r.Median <= 0 {
				t.Errorf("%s, %s: %v, %v", c.name, p.name, r, ok)
			}
		}
	}
	if len(run.Uploads) != 2 || len(run.Waiting) != 2 || len(run.Limiter) < 2 {
		t.Errorf("uploads %v, waiting %v, limiter %v", run.Uploads, run.Waiting, run.Limiter)
	}
	for _, name := range []string{"smtpretry", "Go", "go-smtp", "go-mail"} {
		if !slices.ContainsFunc(run.Versions, func(v results.Version) bool { return v.Name == name && v.Version != "" }) {
			t.Errorf("the version of %s is not known: %v", name, run.Versions)
		}
	}
}

// TestArrived: messages, recipients and octets that are missing, or that nobody
// has sent, are noticed.
func TestArrived(t *testing.T) {
	j := job{to: recipients(2), body: text(100)}
	before := tally{messages: 5, recipients: 7, octets: 1000}
	for name, test := range map[string]struct {
		now tally
		ok  bool
	}{
		"all":             {tally{8, 13, 1300}, true},
		"a longer header": {tally{8, 13, 1390}, true},
		"one lost":        {tally{7, 11, 1300}, false},
		"one twice":       {tally{9, 15, 1400}, false},
		"a recipient":     {tally{8, 12, 1300}, false},
		"cut short":       {tally{8, 13, 1299}, false},
	} {
		err := arrived(func() (tally, error) { return test.now, nil }, before, 3, j)
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	uncounted := tally{messages: 5, recipients: -1}
	if err := arrived(func() (tally, error) { return tally{8, -1, 0}, nil }, uncounted, 3, j); err != nil {
		t.Errorf("a server that counts messages only: %v", err)
	}
}

func TestText(t *testing.T) {
	for _, size := range []int{100, kib, 100 * kib, mib} {
		b := string(text(size))
		if len(b) != size || !strings.HasSuffix(b, "\r\n") || strings.Contains(b, "\r\n.") {
			t.Errorf("%d octets: %d, %q at the end", size, len(b), b[len(b)-5:])
		}
	}
}

func TestReadLimiter(t *testing.T) {
	got, err := readLimiter(strings.NewReader(`goos: linux
BenchmarkAcquire/hosts=1-2  	  200000	       400 ns/op	     128 B/op	       2 allocs/op
BenchmarkAcquire/hosts=1000000-2  	  200000	       500 ns/op	     128 B/op	       2 allocs/op
BenchmarkAcquire/hosts=1-2  	  200000	       410 ns/op	     128 B/op	       2 allocs/op
PASS
`))
	if err != nil || len(got) != 2 || got[0].Hosts != "1" || got[1].Hosts != "1000000" ||
		len(got[0].NsPerOp) != 2 || got[0].Allocs != 2 || got[0].Bytes != 128 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := readLimiter(strings.NewReader("PASS\n")); err == nil {
		t.Error("no benchmark is no error")
	}
}
