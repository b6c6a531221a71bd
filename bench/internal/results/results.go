// Package results is what a run of the benchmarks has measured, as a file.
package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// Base is the peer that the others are compared with.
const Base = "go-smtp"

// A Run is everything that one run has measured.
type Run struct {
	Date     time.Time
	Quick    bool // too short to be published
	Rounds   int
	Machine  Machine
	Versions []Version
	Cells    []Cell
	Uploads  []Upload
	Waiting  []Waiting
	Limiter  []Limiter
}

// A Machine is what it ran on.
type Machine struct {
	CPU    string
	Cores  int
	Kernel string
	RAM    int64 // octets
}

// A Version is that of one of the programs.
type Version struct{ Name, Version string }

// A Cell is one situation in which all peers sent.
type Cell struct {
	Name, Server string
	RoundTrip    time.Duration
	Recipients   int
	Body         int // octets
	Conns        int
	Peers        []Peer
}

// A Peer is what one way of sending reached.
type Peer struct {
	Name     string
	Messages int       // in each round
	Rates    []float64 // messages per second, round by round
}

// An Upload is what memory one message took while it was sent.
type Upload struct {
	Peer string
	Body int64 // octets
	Heap uint64
	RSS  uint64 // both: the most, above what the program had before
}

// A Waiting is what memory the calls took that waited for their turn.
type Waiting struct {
	What                 string
	Calls                int
	Heap, Stacks, System uint64 // in use after a collection; System is the resident set
}

// A Limiter is what the limiter costs for one message.
type Limiter struct {
	Hosts         string    // how many it remembers
	NsPerOp       []float64 // run by run
	Bytes, Allocs float64
}

// Peer returns what a peer has reached in a cell; nil if it was not asked.
func (c *Cell) Peer(name string) *Peer {
	for i := range c.Peers {
		if c.Peers[i].Name == name {
			return &c.Peers[i]
		}
	}
	return nil
}

// Cell returns the cell of a name; nil if there is none.
func (r *Run) Cell(name string) *Cell {
	for i := range r.Cells {
		if r.Cells[i].Name == name {
			return &r.Cells[i]
		}
	}
	return nil
}

// A Ratio is the median over all rounds, with the lowest and the highest.
type Ratio struct{ Median, Low, High float64 }

// Ratio compares two peers round by round: what disturbs the machine for a
// while disturbs both. It is false if one of them was not asked.
func (c *Cell) Ratio(peer, base string) (Ratio, bool) {
	p, b := c.Peer(peer), c.Peer(base)
	if p == nil || b == nil || len(p.Rates) == 0 || len(p.Rates) != len(b.Rates) {
		return Ratio{}, false
	}
	all := make([]float64, len(p.Rates))
	for i := range all {
		all[i] = p.Rates[i] / b.Rates[i]
	}
	return Ratio{Median(all), slices.Min(all), slices.Max(all)}, true
}

// Median returns the middle of values, of which there must be some.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Write stores a run.
func Write(name string, r *Run) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(b, '\n'), 0o644)
}

// Read reads what Write has stored.
func Read(name string) (*Run, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r := new(Run)
	return r, json.Unmarshal(b, r)
}

// Join adds what a file has and r has not measured. It must be about the same
// programs on the same machine.
func (r *Run) Join(name string) error {
	old, err := Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if old.Machine != r.Machine || !slices.Equal(old.Versions, r.Versions) || old.Quick != r.Quick {
		return fmt.Errorf("%s is about %+v, %+v, and this about %+v, %+v: measure all", name, old.Machine, old.Versions, r.Machine, r.Versions)
	}
	for _, c := range r.Cells {
		if had := old.Cell(c.Name); had != nil {
			*had = c // in its place
		} else {
			old.Cells = append(old.Cells, c)
		}
	}
	r.Cells = old.Cells
	if r.Uploads == nil {
		r.Uploads = old.Uploads
	}
	if r.Waiting == nil {
		r.Waiting = old.Waiting
	}
	if r.Limiter == nil {
		r.Limiter = old.Limiter
	}
	return nil
}

// Benchfmt writes the rounds of all cells as go test would, for benchstat:
// one row for each cell, one column for each peer.
func (r *Run) Benchfmt(w io.Writer) error {
	var b strings.Builder
	word := strings.NewReplacer(" ", "-", ",", "", "/", "-").Replace
	for _, c := range r.Cells {
		for _, p := range c.Peers {
			for _, rate := range p.Rates {
				fmt.Fprintf(&b, "BenchmarkSend/cell=%s/peer=%s %d %.0f ns/op %.2f msg/s\n",
					word(c.Name), word(p.Name), p.Messages, 1e9/rate, rate)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// MB writes octets in megabytes.
func MB(octets uint64) string { return fmt.Sprintf("%.1f MB", float64(octets)/1e6) }
