package statuspage

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/smtpretry/smtpretry"
)

// pageSize is how many lines of a long list are on one page.
const pageSize = 50

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
	s, _ := h.surveys.get(func() (*survey, error) { return look(h.rec.limiter, h.rec), nil })
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
		v.Order = orderAttention
	}
	link := v.link
	v.Counts = append(v.Counts, tab{"", "all", len(s.rows), v.Condition == "", link("condition", "", "page", "")})
	known := v.Condition == ""
	for c, n := range s.Counts {
		word := condition(c).String()
		v.Counts = append(v.Counts, tab{word, condition(c).Label(), n, v.Condition == word, link("condition", word, "page", "")})
		known = known || v.Condition == word
	}
	if !known {
		h.fail(w, r, http.StatusBadRequest, "There is no such condition.")
		return
	}
	rows := s.choose(v.Search, v.Condition, v.Order)
	v.Pager = newPager(len(rows), q.Get("page"), link)
	for _, one := range rows[v.Pager.from:v.Pager.to] {
		v.Rows = append(v.Rows, h.hostRow(one, v.Now))
	}
	all := h.rec.ofAll()
	v.Plot = newPlot(all, 0, v.Now)
	n, _ := all.total(v.Now.Unix()-ratePeriod-1, v.Now.Unix()-1)
	v.PerSecond = float64(n) / ratePeriod
	_, v.Refused = all.total(v.Now.Unix()-window, v.Now.Unix())
	h.answer(w, r, http.StatusOK, "hosts", &v, v.data())
}

// link leads to the same list with some of its parameters changed.
func (v *hostsView) link(changes ...string) string {
	q := url.Values{}
	set := func(key, value string) {
		if value == "" || key == "sort" && value == orderAttention {
			q.Del(key)
		} else {
			q.Set(key, value)
		}
	}
	set("q", v.Search)
	set("condition", v.Condition)
	set("sort", v.Order)
	for i := 0; i < len(changes); i += 2 {
		set(changes[i], changes[i+1])
	}
	if len(q) == 0 {
		return "./"
	}
	return "./?" + q.Encode()
}

// SortLink leads to the list in another order.
func (v *hostsView) SortLink(order string) string { return v.link("sort", order, "page", "") }

// hostRow brings a line up to date: the survey may be some seconds old.
func (h *Handler) hostRow(one row, now time.Time) hostRow {
	own := h.rec.ofHost(one.Host)
	e := h.rec.limiter.Explain(one.Host)
	g := own.glance(now.Unix())
	line := hostRow{row: newRow(&e, &g, now), Limits: parts(&e), Spark: newSpark(own.series, now)}
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

// A reply is what a host said, or the failure to get a reply; several in a row
// that mean the same are one.
type reply struct {
	Outcome  string    `json:"outcome"` // accepted, deferred, rejected or in-doubt
	N        int       `json:"n"`       // how many in a row
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Stage    string    `json:"stage"`
	Code     int       `json:"code,omitempty"`
	Enhanced string    `json:"enhanced,omitempty"`
	Text     string    `json:"text,omitempty"` // of the last of them
	Cause    string    `json:"cause,omitempty"`
	Scope    string    `json:"scope,omitempty"`
	Rule     string    `json:"rule,omitempty"`
	Advice   string    `json:"advice,omitempty"`
	Again    bool      `json:"-"` // the advice stands above already
}

func newReply(m *met) reply {
	v := &m.verdict
	r := reply{N: m.n, First: m.first, Last: m.last, Stage: v.Stage.String(), Text: v.Text}
	if m.accepted() {
		r.Outcome = "accepted"
		return r
	}
	switch {
	case v.InDoubt:
		r.Outcome = "in-doubt"
	case v.Class == smtpretry.Permanent:
		r.Outcome = "rejected"
	default:
		r.Outcome = "deferred"
	}
	r.Code, r.Rule, r.Advice = v.Code, v.Rule, v.Advice()
	if e := v.Enhanced; e[0] != 0 {
		r.Enhanced = fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2])
	}
	r.Cause, r.Scope = v.Cause.String(), v.Scope.String()
	return r
}

// Said is the reply in one line.
func (r *reply) Said() string {
	text := r.Text
	if r.Enhanced != "" {
		text = r.Enhanced + " " + text
	}
	if r.Code != 0 {
		text = strconv.Itoa(r.Code) + " " + text
	}
	if text == "" && r.Outcome == "accepted" {
		return r.Outcome
	}
	return cmp.Or(text, "no reply")
}

// A pager divides a long list.
type pager struct {
	N, Page, Pages int // the first page is 1
	First, Last    int // lines, from 1
	Previous, Next string
	from, to       int
}

func newPager(n int, page string, link func(...string) string) pager {
	p := pager{N: n, Pages: max((n+pageSize-1)/pageSize, 1)}
	p.Page, _ = strconv.Atoi(page)
	p.Page = min(max(p.Page, 1), p.Pages)
	p.from = (p.Page - 1) * pageSize
	p.to = min(p.from+pageSize, n)
	p.First, p.Last = min(p.from+1, n), p.to
	if p.Page > 1 {
		p.Previous = link("page", strconv.Itoa(p.Page-1))
	}
	if p.Page < p.Pages {
		p.Next = link("page", strconv.Itoa(p.Page+1))
	}
	return p
}
