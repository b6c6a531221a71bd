package statuspage

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry"
)

// A hostView is all about one host.
type hostView struct {
	frame
	Row         hostRow
	Explanation smtpretry.Explanation
	Replies     []reply // the latest first
	Plot        plot
	LimitText   string // messages per second in force
	Counts      []QueueCount
	Queued      int
	Hold        *QueueHold
	QueueError  string
}

func (h *Handler) showHost(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	if name == "" {
		h.fail(w, r, http.StatusBadRequest, "The name of a host is missing.")
		return
	}
	e := h.rec.limiter.Explain(name)
	v := hostView{frame: h.frame(r, "host", name), Explanation: e, Replies: []reply{}}
	own := h.rec.ofHost(e.Key)
	v.Row = newHostRow(&e, &own, v.Now)
	for _, m := range slices.Backward(own.replies) {
		r := newReply(&m)
		r.Again = slices.ContainsFunc(v.Replies, func(o reply) bool { return o.Advice == r.Advice })
		v.Replies = append(v.Replies, r)
	}
	limit := perSecond(&e.Limit)
	v.Plot = newPlot(own.series, limit, v.Now)
	if limit > 0 {
		v.LimitText = perTime(limit)
	}
	if h.Queue != nil {
		v.fromQueue(h, r, name)
	}
	h.answer(w, r, http.StatusOK, "host", &v, v.data())
}

// Refused says whether what the host said last is the matter with it.
func (v *hostView) Refused() bool {
	return v.Row.Condition == needsAction || v.Row.Condition == refusing
}

// fromQueue adds what the queue has for the host. The page is of use without.
func (v *hostView) fromQueue(h *Handler, r *http.Request, name string) {
	s, err := h.queueSurvey(r.Context())
	if err != nil {
		h.log().Error("status page", "doing", "count", "error", err)
		v.QueueError = err.Error()
		return
	}
	for _, c := range s.counts {
		if strings.EqualFold(c.Host, name) {
			v.Counts = append(v.Counts, c)
			v.Queued += c.N
		}
	}
	v.Hold = s.hold(name)
}

func (v *hostView) data() any {
	type page struct {
		Host string `json:"host"`
		hostRow
		Key       string       `json:"key"`
		Why       string       `json:"why,omitempty"`
		Advice    string       `json:"advice,omitempty"`
		Tokens    float64      `json:"tokens"`
		Shared    string       `json:"shared,omitempty"` // with other processes: how
		MaxSize   int64        `json:"max_size,omitempty"`
		PerSecond float64      `json:"limit_per_second,omitempty"`
		Replies   []reply      `json:"replies"`
		BinWidth  int          `json:"bin_seconds"`
		BinsEnd   time.Time    `json:"bins_end"`
		Bins      []bin        `json:"bins"`
		Queue     []QueueCount `json:"queue,omitempty"`
		Hold      *QueueHold   `json:"hold,omitempty"`
	}
	e := &v.Explanation
	return page{e.Host, v.Row, e.Key, e.Why, e.Advice, e.Tokens, e.Shared, e.MaxSize, perSecond(&e.Limit), v.Replies,
		v.Plot.Width, v.Plot.End, v.Plot.Bins, v.Counts, v.Hold}
}
