package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/metrics"
)

// promParser is as in a Prometheus without feature flags.
var promParser = parser.NewParser(parser.Options{})

var engine = promql.NewEngine(promql.EngineOpts{MaxSamples: 50_000_000, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true, Parser: promParser})

// exposed returns every name that can be asked for, with its labels.
func exposed() map[string][]string {
	names := map[string][]string{}
	for _, m := range metrics.All() {
		name := strings.ReplaceAll(m.Name, ".", "_")
		name += map[string]string{"s": "_seconds", "{message}/s": "_per_second"}[m.Unit]
		switch m.Kind {
		case metrics.Counter:
			names[name+"_total"] = m.Labels
		case metrics.Histogram:
			names[name+"_sum"], names[name+"_count"] = m.Labels, m.Labels
			names[name+"_bucket"] = append(slices.Clone(m.Labels), "le")
		default:
			names[name] = m.Labels
		}
	}
	return names
}

// words are the values that a label can have; what is not here is anything.
func words() map[string][]string {
	all := map[string][]string{
		"outcome": {"sent", "partial", "failed"}, "origin": {"set", "default", "known", "announced", "learned"},
		"class": {"accepted"}, "cause": {"none"}, "state": {"busy", "idle", "waiting", "sending", "held"},
	}
	add := func(label string, word fmt.Stringer) bool {
		w := word.String()
		if strings.HasPrefix(w, "invalid") {
			return false
		}
		all[label] = append(all[label], w)
		return true
	}
	for v := smtpretry.Cause(0); add("cause", v); v++ {
	}
	for v := smtpretry.Class(0); add("class", v); v++ {
	}
	for v := smtpretry.Stage(0); add("stage", v); v++ {
	}
	for v := smtpretry.State(0); add("state", v); v++ {
	}
	return all
}

// checkQuery finds each metric, label and value that a query names and that is not
// there. It also returns the metrics that it names.
func checkQuery(query string, names map[string][]string) (used, faults []string) {
	expr, err := promParser.ParseExpr(query)
	if err != nil {
		return nil, []string{err.Error()}
	}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	known := map[string]bool{"job": true, "instance": true} // what Prometheus adds
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if sel, ok := n.(*parser.VectorSelector); ok {
			used = append(used, sel.Name)
			has, ok := names[sel.Name]
			if !ok {
				fault("there is no %s", sel.Name)
			}
			for _, l := range has {
				known[l] = true
			}
			faults = append(faults, checkMatchers(sel, has)...)
		}
		return nil
	})
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		var by []string
		switch n := n.(type) {
		case *parser.AggregateExpr:
			by = n.Grouping
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				by = n.VectorMatching.MatchingLabels
			}
		}
		for _, l := range by {
			if !known[l] {
				fault("grouped by %s, of %q", l, slices.Sorted(maps.Keys(known)))
			}
		}
		return nil
	})
	return used, faults
}

// checkMatchers finds labels that are not among has, and values that they never have.
func checkMatchers(sel *parser.VectorSelector, has []string) (faults []string) {
	for _, m := range sel.LabelMatchers {
		if m.Name == model.MetricNameLabel || m.Name == "job" || m.Name == "instance" {
			continue
		}
		if !slices.Contains(has, m.Name) {
			faults = append(faults, fmt.Sprintf("%s has no label %s", sel.Name, m.Name))
		}
		list := words()[m.Name]
		if list == nil || m.Value == ".*" {
			continue
		}
		for word := range strings.SplitSeq(m.Value, "|") {
			if !slices.Contains(list, word) {
				faults = append(faults, fmt.Sprintf("no %s is %q, but %q", m.Name, word, list))
			}
		}
	}
	return faults
}

// TestCheckQuery: what is wrong is found.
func TestCheckQuery(t *testing.T) {
	for _, bad := range []string{
		"rate(smtpretry_attempt_total[5m])", `smtpretry_retries_total{cause="tls"}`, `smtpretry_attempts_total{cause=~"tls|ssl"}`,
		"sum by (cause) (smtpretry_retries_total)", "smtpretry_retries_total / on (stage) smtpretry_retries_total", "sum(",
	} {
		if _, faults := checkQuery(bad, exposed()); len(faults) != 1 {
			t.Errorf("found in %s: %q", bad, faults)
		}
	}
}
