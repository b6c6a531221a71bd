package results_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/smtpretry/smtpretry/bench/internal/results"
)

var run = &results.Run{Cells: []results.Cell{{Name: "no delay, 1", Peers: []results.Peer{
	{Name: "go-smtp", Messages: 10, Rates: []float64{100, 50, 100}},
	{Name: "net/smtp", Messages: 20, Rates: []float64{110, 100, 90}},
	{Name: "unlike", Rates: []float64{1}},
}}}}

func TestRatio(t *testing.T) {
	c := run.Cell("no delay, 1")
	if got, ok := c.Ratio("net/smtp", "go-smtp"); !ok || got != (results.Ratio{Median: 1.1, Low: 0.9, High: 2}) {
		t.Errorf("%v, %v, want 1.1 between 0.9 and 2: round by round", got, ok)
	}
	for _, peer := range []string{"nobody", "unlike"} {
		if got, ok := c.Ratio(peer, "go-smtp"); ok {
			t.Errorf("%s: %v, want none", peer, got)
		}
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 2, 3}, 7: {7}} {
		if got := results.Median(values); got != want {
			t.Errorf("of %v: %v, want %v", values, got, want)
		}
	}
}

func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "run.json")
	if err := results.Write(name, run); err != nil {
		t.Fatal(err)
	}
	if got, err := results.Read(name); err != nil || !reflect.DeepEqual(got, run) {
		t.Errorf("%+v, %v, want what was written", got, err)
	}
}

func TestJoin(t *testing.T) {
	name := filepath.Join(t.TempDir(), "run.json")
	fresh := func() *results.Run {
		return &results.Run{Cells: []results.Cell{{Name: "b", Conns: 2}}, Waiting: []results.Waiting{{Calls: 2}}}
	}
	r := fresh()
	if err := r.Join(name); err != nil || !reflect.DeepEqual(r, fresh()) {
		t.Errorf("with no file: %+v, %v", r, err)
	}
	old := &results.Run{Cells: []results.Cell{{Name: "a"}, {Name: "b", Conns: 1}, {Name: "c"}},
		Waiting: []results.Waiting{{Calls: 1}}, Uploads: []results.Upload{{Body: 1}}}
	if err := results.Write(name, old); err != nil {
		t.Fatal(err)
	}
	want := &results.Run{Cells: []results.Cell{{Name: "a"}, {Name: "b", Conns: 2}, {Name: "c"}},
		Waiting: []results.Waiting{{Calls: 2}}, Uploads: []results.Upload{{Body: 1}}}
	if err := r.Join(name); err != nil || !reflect.DeepEqual(r, want) {
		t.Errorf("%+v, %v, want %+v", r, err, want)
	}
	r = fresh()
	r.Versions = []results.Version{{Name: "Go", Version: "another"}}
	if err := r.Join(name); err == nil {
		t.Error("figures of different versions were joined")
	}
}

func TestBenchfmt(t *testing.T) {
	var b strings.Builder
	if err := run.Benchfmt(&b); err != nil {
		t.Fatal(err)
	}
	if want := "BenchmarkSend/cell=no-delay-1/peer=net-smtp 20 9090909 ns/op 110.00 msg/s\n"; !strings.Contains(b.String(), want) {
		t.Errorf("%s lacks %s", b.String(), want)
	}
}
