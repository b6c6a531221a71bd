package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry/bench/internal/results"
)

// sample has a little of everything.
func sample() *results.Run {
	cell := func(name string, body int, rates ...float64) results.Cell {
		c := results.Cell{Name: name, Body: body}
		for i, n := range []string{results.Base, each, queued, "smtp-source", "raw TCP"} {
			c.Peers = append(c.Peers, results.Peer{Name: n, Rates: []float64{rates[i], 1.1 * rates[i]}})
		}
		return c
	}
	return &results.Run{
		Date: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), Rounds: 2,
		Machine:  results.Machine{CPU: "A CPU", Cores: 2, Kernel: "linux 1.2", RAM: 8e9},
		Versions: []results.Version{{Name: "Go", Version: "1.26"}},
		Cells:    []results.Cell{cell("20 ms", 1024, 10, 20, 39, 10, 41), cell("no delay, 10 MiB", 10<<20, 10, 11, 12, 10, 14)},
		Uploads:  []results.Upload{{Peer: each, Body: 1 << 20, Heap: 123_456, RSS: 2e6}},
		Waiting:  []results.Waiting{{What: "Send", Calls: 10, Heap: 5e6, Stacks: 1e6, System: 9e6}},
		Limiter:  []results.Limiter{{Hosts: "1000", NsPerOp: []float64{400, 420, 500}, Bytes: 128, Allocs: 2}},
	}
}

func TestTables(t *testing.T) {
	got := tables(sample())
	for name, want := range map[string]string{
		"machine":  "Measured on 4 May 2026: A CPU, 2 cores, 8 GB of memory, linux 1.2. Go 1.26.\n",
		"claims":   "| 20 ms away, one message after another | **2.00** | 2.00–2.00 | ≥ 1.9 |\n",
		"ratios":   "| 20 ms | **2.00**<br><sub>2.00–2.00</sub> | **3.90**<br><sub>3.90–3.90</sub> | 1.00<br><sub>1.00–1.00</sub> |",
		"absolute": "| no delay, 10 MiB | 110 MB/s |",
		"upload":   "| 1 MiB | smtpretry | +0.1 MB | +2.0 MB |\n",
		"waiting":  "| 10 Send | 6.0 MB | 600000 B | 9.0 MB |\n",
		"limiter":  "| 1000 | 420 ns | 400–500 | 128 B in 2 |\n",
	} {
		if !strings.Contains(got[name], want) {
			t.Errorf("%s is\n%s\nwithout\n%s", name, got[name], want)
		}
	}
	// A part that was not measured has no table, and does not break others.
	for name, table := range tables(&results.Run{}) {
		if name != "machine" && table != "Not measured.\n" {
			t.Errorf("%s of nothing is %q", name, table)
		}
	}
}

func TestFill(t *testing.T) {
	const page = "a\n<!-- generated: one -->\nold\n<!-- end -->\nb\n<!-- generated: other -->\nkept\n<!-- end -->\nc\n"
	const want = "a\n<!-- generated: one -->\n$1 new\n<!-- end -->\nb\n<!-- generated: other -->\nkept\n<!-- end -->\nc\n"
	if got := fill(page, map[string]string{"one": "$1 new\n"}); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "docs"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "docs/benchmarks.md"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("<!-- generated: claims -->\n<!-- end -->\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := sample()
	if err := write(dir, run); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "README.md")); err != nil || !strings.Contains(string(got), "20 ms away") {
		t.Errorf("the page is %q (%v)", got, err)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "docs/benchmarks.svg"))
	if err != nil || !strings.Contains(string(svg), "20 ms") || !strings.Contains(string(svg), each) || len(svg) > 60_000 {
		t.Errorf("the picture has %d octets (%v)", len(svg), err)
	}
	run.Quick = true
	if write(dir, run) == nil {
		t.Error("a quick run was written")
	}
}

// TestPlaces: all tables have a place in the documentation, and all claims were
// measured.
func TestPlaces(t *testing.T) {
	page, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range tables(sample()) {
		if !strings.Contains(string(page), "<!-- generated: "+name+" -->\n") {
			t.Errorf("there is no place for %s", name)
		}
	}
	if strings.Contains(string(page), "Not measured") {
		t.Error("something was not measured")
	}
	for _, c := range claims {
		if !strings.Contains(string(page), "| "+c.what+" |") {
			t.Errorf("%q is not in the page", c.what)
		}
	}
}
