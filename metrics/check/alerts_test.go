package check

import (
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/template"
)

func loadRules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	text, err := os.ReadFile("../alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(text, false, model.UTF8Validation, promParser, slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if t.Failed() {
		t.FailNow()
	}
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// TestRules: what the rules name is exposed, or recorded before, and each alert says
// how bad it is, what it is about and what to do.
func TestRules(t *testing.T) {
	doc, err := os.ReadFile("../../docs/watching.md")
	if err != nil {
		t.Fatal(err)
	}
	names := exposed()
	for _, r := range loadRules(t) {
		if _, faults := checkQuery(r.Expr, names); len(faults) > 0 {
			t.Errorf("%s%s: %q", r.Record, r.Alert, faults)
		}
		if r.Record != "" {
			names[r.Record] = []string{"host", "class", "cause", "state"}
			continue
		}
		if r.Labels["severity"] != "critical" && r.Labels["severity"] != "warning" {
			t.Errorf("%s: severity is %q", r.Alert, r.Labels["severity"])
		}
		for _, a := range []string{"summary", "description", "runbook_url"} {
			if r.Annotations[a] == "" {
				t.Errorf("%s has no %s", r.Alert, a)
			}
		}
		if !strings.Contains(string(doc), "`"+r.Alert+"`") {
			t.Errorf("docs/watching.md does not name %s", r.Alert)
		}
		if _, tried := alertCases[r.Alert]; !tried {
			t.Errorf("%s is never tried", r.Alert)
		}
	}
	if !strings.Contains(string(doc), "\n## What to alert on\n") {
		t.Error("docs/watching.md has not the part that the alerts lead to")
	}
}

// alertCases are series, a value each minute, that an alert must fire at when they end,
// and that it must not.
var alertCases = map[string]struct {
	fires, silent [][]string
	says          string // part of the summary
}{
	"SmtpretryReputation": {
		fires: [][]string{
			// Held for longer each time, so it is rare.
			attempts("cause='reputation',class='permanent'", "_x30 1x5 2x15 3x8"),
			attempts("cause='reputation',class='temporary'", "7x60 8x10 9x10 10x10"),
			slices.Concat(attempts("cause='reputation',class='permanent'", "_x30 2x29"), attempts("cause='reputation',class='permanent',instance='b'", "_x30 2x29")),
		},
		silent: [][]string{
			attempts("cause='reputation',class='permanent'", "500x90"),
			attempts("cause='reputation',class='permanent'", "_x30 1x5 2x15"),
			attempts("cause='reputation',class='permanent'", "0 10 20 30x80"), // over an hour ago
			attempts("cause='overload',class='temporary'", "0+5x60"),
			slices.Concat(attempts("cause='reputation',class='permanent'", "_x30 2x29"), attempts("cause='reputation',class='permanent',host='another'", "_x30 2x29")),
		},
		says: "mx refuses mail because of who sends it",
	},
	"SmtpretryAuth": {
		fires:  [][]string{attempts("cause='auth',class='permanent'", "_x30 1x29"), attempts("cause='auth',class='permanent'", "5x40 6x10")},
		silent: [][]string{attempts("cause='auth',class='temporary'", "0+1x60"), attempts("cause='auth',class='permanent'", "5x80"), attempts("cause='auth',class='permanent'", "_x10 5x80")},
		says:   "mx refuses the login",
	},
	"SmtpretryTLS": {
		fires:  [][]string{attempts("cause='tls',class='permanent'", "_x30 1x29")},
		silent: [][]string{attempts("cause='tls',class='temporary'", "0+1x60"), attempts("cause='tls',class='permanent'", "1x80")},
		says:   "no encrypted connection to mx",
	},
	"SmtpretrySenderPolicy": {
		fires:  [][]string{attempts("cause='sender-policy',class='permanent'", "0+1x10")},
		silent: [][]string{attempts("cause='sender-policy',class='permanent'", "_x5 1x10 2x10"), attempts("cause='sender-policy',class='temporary'", "0+1x60")},
		says:   "mx refuses mail that fails SPF, DKIM or DMARC",
	},
	"SmtpretryInDoubt": {
		fires:  [][]string{recipients("in-doubt", "_x20 1x5"), recipients("in-doubt", "3x70 4x5")},
		silent: [][]string{recipients("in-doubt", "3x90"), recipients("deferred", "0+5x60"), recipients("rejected", "0+5x60")},
		says:   "mail to mx may or may not have arrived",
	},
	"SmtpretryHostPaused": {
		fires:  [][]string{gauge("limiter_cool_down_seconds{host='mx'}", "3600-60x20"), gauge("limiter_cool_down_seconds{host='mx',instance='b'}", "1200x6")},
		silent: [][]string{gauge("limiter_cool_down_seconds{host='mx'}", "900-60x14"), gauge("limiter_cool_down_seconds{host='mx'}", "0x5 1200x2 0x5 1200x3"), gauge("limiter_cool_down_seconds{host='mx'}", "0x60")},
		says:   "mx is left alone for",
	},
	"SmtpretryDeferrals": {
		fires: [][]string{slices.Concat(attempts("cause='rate-limit',class='temporary'", "0+6x40"), attempts("cause='none',class='accepted'", "0+4x40"))},
		silent: [][]string{
			slices.Concat(attempts("cause='rate-limit',class='temporary'", "0+4x40"), attempts("cause='none',class='accepted'", "0+6x40")),
			slices.Concat(attempts("cause='greylist',class='temporary'", "0+6x40"), attempts("cause='none',class='accepted'", "0+4x40")),
			attempts("cause='overload',class='temporary'", "0+1x40"),                                                                          // too few to tell
			slices.Concat(attempts("cause='overload',class='temporary'", "0x40 0+20x8"), attempts("cause='none',class='accepted'", "0+4x48")), // not for long
		},
		says: "mx puts off 60% of the attempts",
	},
	"SmtpretryQueueOld": {
		fires:  [][]string{gauge("queue_oldest_age_seconds{host='mx',state='waiting'}", "14000+60x20")},
		silent: [][]string{gauge("queue_oldest_age_seconds{host='mx',state='held'}", "90000+60x20"), gauge("queue_oldest_age_seconds{host='mx',state='waiting'}", "13000+60x20"), gauge("queue_oldest_age_seconds{host='mx',state='waiting'}", "14000+60x10")},
		says:   "mail to mx has been in the queue for 4h 13m",
	},
	"SmtpretryQueueUnread": {
		fires:  [][]string{gauge("queue_up{}", "1x5 0x11")},
		silent: [][]string{gauge("queue_up{}", "1x30"), gauge("queue_up{}", "1x5 0x9 1x3 0x5")},
		says:   "the queue of a cannot be read",
	},
}

func gauge(name, values string) []string {
	l := "job='mail'"
	if !strings.Contains(name, "instance=") {
		l += ",instance='a'"
	}
	name = strings.Replace(name, "{", "{"+l+",", 1)
	return []string{"smtpretry_" + strings.ReplaceAll(strings.Replace(name, ",}", "}", 1), "'", `"`) + " " + values}
}

func attempts(l, values string) []string {
	if !strings.Contains(l, "host=") {
		l += ",host='mx'"
	}
	return gauge("attempts_total{stage='mail',"+l+"}", values)
}

func recipients(state, values string) []string {
	return gauge("recipients_total{host='mx',cause='network',state='"+state+"'}", values)
}

// TestAlerts: each alert fires when it should, and only then.
func TestAlerts(t *testing.T) {
	all := loadRules(t)
	for name, c := range alertCases {
		for _, input := range c.fires {
			summaries := firing(t, all, input)[name]
			if len(summaries) != 1 || !strings.Contains(summaries[0], c.says) {
				t.Errorf("%s: says %q, want %q, at\n%s", name, summaries, c.says, strings.Join(input, "\n"))
			}
		}
		for _, input := range c.silent {
			if summaries := firing(t, all, input)[name]; len(summaries) > 0 {
				t.Errorf("%s: fires, %q, at\n%s", name, summaries, strings.Join(input, "\n"))
			}
		}
	}
}

// firing evaluates the rules each minute over the series, as Prometheus does, and
// returns the summaries of the alerts that fire at the end.
func firing(t *testing.T, all []rulefmt.Rule, input []string) map[string][]string {
	t.Helper()
	db := &memory{}
	db.load(t, input)
	end := time.UnixMilli(db.last)
	since := map[string]time.Time{} // when alerts became active
	var fired map[string][]string
	for at := time.UnixMilli(0); !at.After(end); at = at.Add(time.Minute) {
		fired = map[string][]string{}
		active := map[string]time.Time{}
		for _, r := range all {
			found, err := db.query(t.Context(), r.Expr, at)
			if err != nil {
				t.Fatalf("%s%s: %v", r.Record, r.Alert, err)
			}
			for _, s := range found {
				if r.Record != "" {
					db.add(labels.NewBuilder(s.Metric).Set(model.MetricNameLabel, r.Record).Labels(), at.UnixMilli(), s.F)
					continue
				}
				key := r.Alert + s.Metric.String()
				if active[key] = at; !since[key].IsZero() {
					active[key] = since[key]
				}
				if at.Sub(active[key]) >= time.Duration(r.For) {
					fired[r.Alert] = append(fired[r.Alert], annotate(t, r, s))
				}
			}
		}
		since = active
	}
	return fired
}

// annotate fills in what an alert says, and returns its summary.
func annotate(t *testing.T, r rulefmt.Rule, s promql.Sample) string {
	t.Helper()
	data := template.AlertTemplateData(s.Metric.Map(), nil, "", s)
	said := map[string]string{}
	for name, text := range r.Annotations {
		text, err := template.NewTemplateExpander(t.Context(), "{{$labels := .Labels}}{{$value := .Value}}"+text, r.Alert, data,
			model.Time(s.T), nil, nil, nil).Expand()
		if err != nil || strings.Contains(text, "{{") || strings.Contains(text, "<no value>") {
			t.Errorf("%s: %s says %q, %v", r.Alert, name, text, err)
		}
		said[name] = text
	}
	return said["summary"]
}
