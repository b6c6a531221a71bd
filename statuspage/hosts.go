package statuspage

import (
	"net/http"
	"time"

	"github.com/smtpretry/smtpretry"
)

// A hostsView is the list of hosts.
type hostsView struct {
	frame
	At        time.Time
	Counts    []tab
	Search    string
	Condition string
	Order     string
	Rows      []hostRow
	Pager     pager
	Waiting   int
	Retrying  int
	Open      int
	Total     int
	PerSecond float64
	Refused   int // within the window
	Plot      plot
}

// A hostRow is one line of the list.
type hostRow struct {
	row
	Limits    []part `json:"limits"`
	LastReply *reply `json:"last_reply,omitempty"`
	Spark     spark  `json:"-"`
}

// A tab leads to the hosts in one condition.
type tab struct {
	Word  string `json:"condition"`
	Label string `json:"-"`
	N     int    `json:"hosts"`
	Here  bool   `json:"-"`
	Link  string `json:"-"`
}

func (h *Handler) survey() *survey {
	s, _ := h.surveys.get(func() (*survey, error) { return look(h.rec), nil })
	return s
}

func (h *Handler) showHosts(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s := h.survey()
	v := hostsView{
		frame: h.frame(r, "hosts", "Hosts"), At: s.At,
		Search: q.Get("q"), Condition: q.Get("condition"), Order: q.Get("sort"),
		Rows: []hostRow{}, Waiting: s.Waiting, Retrying: s.Retrying, Open: s.Open, Total: len(s.rows),
	}
	if orders[v.Order] == nil {
		v.Order = ""
	}
	v.Counts = append(v.Counts, tab{"", "all", len(s.rows), v.Condition == "", v.link("condition", "")})
	known := v.Condition == ""
	for c, n := range s.Counts {
		word := condition(c).String()
		v.Counts = append(v.Counts, tab{word, condition(c).Label(), n, v.Condition == word, v.link("condition", word)})
		known = known || v.Condition == word
	}
	if !known {
		h.fail(w, r, http.StatusBadRequest, "There is no such condition.")
		return
	}
	rows := s.choose(v.Search, v.Condition, v.Order)
	v.Pager = newPager(len(rows), q.Get("page"), v.link)
	for _, one := range rows[v.Pager.from:v.Pager.to] { // up to date: the survey may be some seconds old
		e, own := h.rec.limiter.Explain(one.Host), h.rec.ofHost(one.Host)
		v.Rows = append(v.Rows, newHostRow(&e, &own, v.Now))
	}
	all := h.rec.ofAll()
	v.Plot, v.PerSecond = newPlot(all, 0, v.Now), all.rate(v.Now.Unix())
	_, v.Refused = all.total(v.Now.Unix()-window, v.Now.Unix())
	h.answer(w, r, http.StatusOK, "hosts", &v, v.data())
}

// link leads to the same list with some of its parameters changed.
func (v *hostsView) link(changes ...string) string {
	return address("./", append([]string{"q", v.Search, "condition", v.Condition, "sort", v.Order}, changes...)...)
}

// SortLink leads to the list in another order.
func (v *hostsView) SortLink(order string) string { return v.link("sort", order) }

func newHostRow(e *smtpretry.Explanation, own *hostRecord, now time.Time) hostRow {
	g := own.glance(now.Unix())
	line := hostRow{row: newRow(e, &g, now), Limits: parts(e), Spark: newSpark(own.series, now)}
	if g.last.n > 0 {
		last := newReply(&g.last)
		line.LastReply = &last
	}
	return line
}

// ShortLimits are the parts that say most of the limit.
func (r *hostRow) ShortLimits() []part {
	var list []part
	for _, p := range r.Limits {
		switch p.Field {
		case "Rate", "Quotas", "MaxConns":
			if len(list) < 3 {
				list = append(list, p)
			}
		}
	}
	return list
}

func (v *hostsView) data() any {
	type page struct {
		At        time.Time `json:"at"`
		Hosts     int       `json:"hosts"`
		Fit       int       `json:"fit"` // of them, what was asked for
		Page      int       `json:"page"`
		Pages     int       `json:"pages"`
		Waiting   int       `json:"waiting"`
		Retrying  int       `json:"retrying"`
		Open      int       `json:"open"`
		PerSecond float64   `json:"per_second"`
		Refused   int       `json:"refused"`
		Counts    []tab     `json:"conditions"`
		List      []hostRow `json:"list"`
	}
	return page{v.At, v.Total, v.Pager.N, v.Pager.Page, v.Pager.Pages, v.Waiting, v.Retrying, v.Open, v.PerSecond, v.Refused, v.Counts[1:], v.Rows}
}
