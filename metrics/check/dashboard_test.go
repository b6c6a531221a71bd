package check

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// A panel is what is checked of one. Grafana's types keep its queries as they are.
type panel struct {
	ID         int
	Type       string
	Title      string
	Datasource struct{ Type, UID string }
	GridPos    struct{ X, Y, W, H int }
	Targets    []struct {
		RefID, Expr, LegendFormat string
		Datasource                struct{ Type, UID string }
	}
	FieldConfig struct{ Defaults struct{ Unit string } }
}

func loadDashboard(t *testing.T) (panels []panel, variables []string) {
	t.Helper()
	text, err := os.ReadFile("../grafana/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if fault := strange(text); fault != "" {
		t.Error(fault)
	}
	var d struct {
		UID, Title    string
		SchemaVersion int
		Templating    struct {
			List []struct{ Name, Type, Definition string }
		}
		Panels []panel
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" || d.Title == "" || d.SchemaVersion < 36 {
		t.Errorf("uid %q, title %q, schema %d", d.UID, d.Title, d.SchemaVersion)
	}
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		if v.Type != "query" {
			continue
		}
		// label_values(selector, label)
		inner := strings.TrimSuffix(strings.TrimPrefix(v.Definition, "label_values("), ")")
		at := strings.LastIndex(inner, ",")
		if _, faults := checkQuery("sum by ("+inner[at+1:]+") ("+expand(inner[:at])+")", exposed()); len(faults) > 0 {
			t.Errorf("variable %s: %q", v.Name, faults)
		}
	}
	if len(d.Templating.List) == 0 || d.Templating.List[0].Type != "datasource" {
		t.Error("the data source cannot be chosen")
	}
	return d.Panels, variables
}

// strange says what Grafana does not know: a field, or a type of a field.
func strange(text []byte) string {
	var d dashboard.Dashboard //nolint:staticcheck // the schema that every Grafana can import; the next one is for the newest only
	if err := d.UnmarshalJSONStrict(text); err != nil {
		return err.Error() // empty where it joins none
	}
	return ""
}

// TestStrange: what is wrong is found.
func TestStrange(t *testing.T) {
	text, err := os.ReadFile("../grafana/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	for good, bad := range map[string]string{
		`"editable": true`: `"edit": true`, `"graphTooltip": 1`: `"graphTooltip": "shared"`, `"gridPos": {`: `"gridPos": {"z": 1,`, `"schemaVersion": 39,`: "",
	} {
		changed := bytes.Replace(text, []byte(good), []byte(bad), 1)
		if bytes.Equal(changed, text) || strange(changed) == "" {
			t.Errorf("nothing was found with %s for %s", bad, good)
		}
	}
}

var variable = regexp.MustCompile(`\$(\w+)`)

// expand puts in what Grafana does for its variables.
func expand(query string) string {
	return strings.NewReplacer("$__rate_interval", "1m", "$job", ".*", "$host", ".*").Replace(query)
}

// checkDashboard: every panel can be drawn, from metrics that are there, and shows
// something.
func checkDashboard(t *testing.T, scrapes []scrape) {
	panels, variables := loadDashboard(t)
	db := store(t, scrapes)
	used := map[string]bool{}
	ids := map[int]bool{}
	var drawn []drawing
	for i, p := range panels {
		if ids[p.ID] || p.ID == 0 {
			t.Errorf("%s: id %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		checkPlace(t, p, panels[:i])
		draw := drawing{panel: p}
		if p.Type != "row" {
			if p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
				t.Errorf("%s: data source %v, %d queries", p.Title, p.Datasource, len(p.Targets))
			}
			if _, ok := unitNames[p.FieldConfig.Defaults.Unit]; !ok {
				t.Errorf("%s: there is no unit %q", p.Title, p.FieldConfig.Defaults.Unit)
			}
		}
		for j, target := range p.Targets {
			if target.RefID != string(rune('A'+j)) || target.Datasource != p.Datasource {
				t.Errorf("%s: query %q of %v", p.Title, target.RefID, target.Datasource)
			}
			for _, name := range variable.FindAllStringSubmatch(target.Expr, -1) {
				if name[1] != "__rate_interval" && !slices.Contains(variables, name[1]) {
					t.Errorf("%s: there is no variable %s", p.Title, name[1])
				}
			}
			names, faults := checkQuery(expand(target.Expr), exposed())
			for _, n := range names {
				used[n] = true
			}
			if len(faults) > 0 {
				t.Errorf("%s: %s: %q", p.Title, target.Expr, faults)
				continue
			}
			lines := evaluate(t, db, expand(target.Expr), scrapes)
			if len(lines) == 0 {
				t.Errorf("%s: nothing to show of %s", p.Title, target.Expr)
			}
			for _, l := range lines {
				draw.lines = append(draw.lines, drawnLine{legend(target.LegendFormat, l.Metric), l.Floats})
			}
		}
		drawn = append(drawn, draw)
	}
	for name := range exposed() {
		base := strings.NewReplacer("_bucket", "", "_count", "", "_sum", "").Replace(name)
		if !used[name] && !used[base] && !used[base+"_bucket"] {
			t.Errorf("%s is on no panel", name)
		}
	}
	if *drawTo != "" {
		if err := os.WriteFile(*drawTo, []byte(svg(drawn)), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// checkPlace: within the 24 columns, and on no other panel.
func checkPlace(t *testing.T, p panel, others []panel) {
	g := p.GridPos
	if g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 || g.Y < 0 {
		t.Errorf("%s is at %+v", p.Title, g)
	}
	for _, o := range others {
		if h := o.GridPos; g.X < h.X+h.W && h.X < g.X+g.W && g.Y < h.Y+h.H && h.Y < g.Y+g.H {
			t.Errorf("%s is on %s", p.Title, o.Title)
		}
	}
}

// store keeps what was scraped, as Prometheus would.
func store(t *testing.T, scrapes []scrape) *memory {
	t.Helper()
	db := &memory{}
	for _, s := range scrapes {
		samples, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{Timestamp: model.TimeFromUnixNano(s.at.UnixNano())}, s.prometheus...)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range samples {
			b := labels.NewBuilder(labels.FromStrings("job", "mail", "instance", "localhost:9090"))
			for name, value := range v.Metric {
				b.Set(string(name), string(value))
			}
			db.add(b.Labels(), int64(v.Timestamp), float64(v.Value))
		}
	}
	return db
}

// evaluate asks over the whole time and returns the series that have a number.
func evaluate(t *testing.T, db *memory, query string, scrapes []scrape) (lines promql.Matrix) {
	t.Helper()
	q, err := engine.NewRangeQuery(t.Context(), db, nil, query, scrapes[8].at, scrapes[len(scrapes)-1].at, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	m, err := q.Exec(t.Context()).Matrix()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range m {
		kept := promql.Series{Metric: s.Metric}
		for _, p := range s.Floats {
			if !math.IsNaN(p.F) {
				kept.Floats = append(kept.Floats, p)
			}
		}
		if len(kept.Floats) > 0 {
			lines = append(lines, kept)
		}
	}
	return lines
}

// legend fills in {{label}}; where there is no format, it is all labels.
func legend(format string, l labels.Labels) string {
	if format == "" {
		return l.String()
	}
	l.Range(func(l labels.Label) { format = strings.ReplaceAll(format, "{{"+l.Name+"}}", l.Value) })
	return format
}

// unitNames are how units of Grafana are written.
var unitNames = map[string]string{units.Short: "", units.PercentUnit: "%", units.Seconds: "s", units.CountsPerSecond: "/s"}
