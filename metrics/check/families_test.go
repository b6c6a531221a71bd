package check

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/smtpretry/smtpretry/metrics"
)

var update = flag.Bool("update", false, "write the generated part of docs/watching.md")

// labelNames returns the labels that the series of a family have.
func labelNames(f *dto.MetricFamily) []string {
	names := map[string]bool{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			names[l.GetName()] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// series lists every series of counted mail with its value, or how often and how much.
func series(families []*dto.MetricFamily) map[string]string {
	all := map[string]string{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := fmt.Sprint(f.GetName(), f.GetType())
			for _, l := range m.GetLabel() {
				key += fmt.Sprintf(" %s=%q", l.GetName(), l.GetValue())
			}
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				all[key] = fmt.Sprint(m.GetCounter().GetValue())
			case dto.MetricType_HISTOGRAM:
				h := m.GetHistogram()
				all[key] = fmt.Sprintf("%d %.6f", h.GetSampleCount(), h.GetSampleSum())
				for _, b := range h.GetBucket() {
					all[key] += fmt.Sprintf(" %g:%d", b.GetUpperBound(), b.GetCumulativeCount())
				}
			default:
				all[key] = fmt.Sprintf("%.3f", m.GetGauge().GetValue())
			}
		}
	}
	return all
}

// checkSame: whoever counts, the names, labels and numbers are the same, but for the
// depth of the queue, which is drawn by lot.
func checkSame(t *testing.T, a, b []*dto.MetricFamily) {
	from, to := series(a), series(b)
	if len(from) < 100 {
		t.Errorf("only %d series", len(from))
	}
	for key, v := range from {
		w, ok := to[key]
		if !ok || v != w && !strings.HasPrefix(key, "smtpretry_queue_messages") {
			t.Errorf("%s is %s, and %q with OpenTelemetry", key, v, w)
		}
	}
	for key := range to {
		if _, ok := from[key]; !ok {
			t.Errorf("%s is there with OpenTelemetry only", key)
		}
	}
}

// checkNames: all that is said to be counted is exposed.
func checkNames(t *testing.T, families []*dto.MetricFamily) {
	if got, want := len(families), len(metrics.All()); got != want {
		t.Errorf("%d metrics are exposed, want %d", got, want)
	}
}

// checkDoc: the table in docs/watching.md is what is exposed.
func checkDoc(t *testing.T, families []*dto.MetricFamily) {
	const name = "../../docs/watching.md"
	doc, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| metric | kind | labels | what it is |\n|---|---|---|---|\n")
	for _, m := range metrics.All() { // in an order that can be read
		for _, f := range families {
			if strings.HasPrefix(f.GetName(), strings.ReplaceAll(m.Name, ".", "_")) && f.GetHelp() == m.Help {
				labels := "`" + strings.Join(labelNames(f), "`, `") + "`"
				fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.ReplaceAll(labels, "``", "–"), f.GetHelp())
			}
		}
	}
	part := regexp.MustCompile(`(?s)(<!-- generated: metrics -->\n).*?(<!-- end -->)`)
	if !part.Match(doc) {
		t.Fatal("there is no place for the table")
	}
	want := part.ReplaceAll(doc, []byte("${1}"+table.String()+"${2}"))
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(doc, want) {
		t.Errorf("%s is not what is exposed; run make generate", name)
	}
	// Each metric has a row, and no row is of another.
	rows := strings.Count(table.String(), "\n") - 2
	if rows != len(families) {
		t.Errorf("%d rows for %d metrics", rows, len(families))
	}
}
