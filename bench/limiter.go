package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"

	"github.com/smtpretry/smtpretry/bench/internal/results"
)

// measureLimiter runs the library's own benchmark of its limiter, which sees
// what no other module does, and reads what it says.
func measureLimiter(o options) ([]results.Limiter, error) {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", "^BenchmarkAcquire$", "-benchmem", "-benchtime", o.micro,
		"-count", strconv.Itoa(o.rounds), "github.com/smtpretry/smtpretry")
	cmd.Stderr = os.Stderr
	log.Print(strings.Join(cmd.Args, " "))
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return readLimiter(strings.NewReader(string(out)))
}

func readLimiter(out io.Reader) ([]results.Limiter, error) {
	var all []results.Limiter
	places := map[string]int{}
	r := benchfmt.NewReader(out, "go test")
	for r.Scan() {
		b, ok := r.Result().(*benchfmt.Result)
		if !ok {
			continue // what go test says besides
		}
		_, parts := b.Name.Parts()
		if len(parts) == 0 {
			continue
		}
		name := strings.TrimPrefix(string(parts[0]), "/hosts=")
		at, seen := places[name]
		if !seen {
			at = len(all)
			places[name] = at
			all = append(all, results.Limiter{Hosts: name})
		}
		l := &all[at]
		ns, _ := b.Value("sec/op")
		l.NsPerOp = append(l.NsPerOp, ns*1e9)
		l.Bytes, _ = b.Value("B/op")
		l.Allocs, _ = b.Value("allocs/op")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("go test printed no benchmark")
	}
	return all, nil
}
