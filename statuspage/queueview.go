package statuspage

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A queueSurvey is what is in the queue at one moment.
type queueSurvey struct {
	counts []QueueCount // the largest first
	holds  []QueueHold
}

func (s *queueSurvey) hold(host string) *QueueHold {
	if i := slices.IndexFunc(s.holds, func(one QueueHold) bool { return strings.EqualFold(one.Host, host) }); i >= 0 {
		return &s.holds[i]
	}
	return nil
}

func (h *Handler) queueSurvey(ctx context.Context) (*queueSurvey, error) {
	return h.counts.get(func() (*queueSurvey, error) {
		counts, err := h.Queue.Count(ctx)
		if err != nil {
			return nil, err
		}
		holds, err := h.Queue.Holds(ctx)
		slices.SortFunc(counts, func(a, b QueueCount) int {
			return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Cause, b.Cause))
		})
		return &queueSurvey{counts, holds}, err
	})
}

// A queueView is what is in the queue, by destination and cause.
type queueView struct {
	frame
	Search  string
	Counts  []QueueCount
	Causes  []causeCount
	Holds   []QueueHold
	Pager   pager
	Waiting int
	Sending int
	Octets  int64
	Hosts   int
	Oldest  time.Time
}

// A causeCount is how many messages wait for one cause.
type causeCount struct {
	Cause string `json:"cause"` // empty: not refused so far
	N     int    `json:"n"`
}

func (h *Handler) showQueue(w http.ResponseWriter, r *http.Request) {
	s, err := h.queueSurvey(r.Context())
	if err != nil {
		h.failed(w, r, "count", err)
		return
	}
	v := queueView{frame: h.frame(r, "queue", "Queue"), Search: r.URL.Query().Get("q"), Holds: s.holds}
	search := strings.ToLower(strings.TrimSpace(v.Search))
	causes, hosts := map[string]int{}, map[string]bool{}
	fit := []QueueCount{}
	for _, c := range s.counts {
		if c.State == "sending" {
			v.Sending += c.N
		} else {
			v.Waiting += c.N
			causes[c.Cause] += c.N
		}
		v.Octets += c.Octets
		hosts[c.Host] = true
		if v.Oldest.IsZero() || c.Oldest.Before(v.Oldest) {
			v.Oldest = c.Oldest
		}
		if strings.Contains(strings.ToLower(c.Host), search) || c.Cause == search {
			fit = append(fit, c)
		}
	}
	v.Hosts = len(hosts)
	for cause, n := range causes {
		v.Causes = append(v.Causes, causeCount{cause, n})
	}
	slices.SortFunc(v.Causes, func(a, b causeCount) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Cause, b.Cause)) })
	v.Pager = newPager(len(fit), r.URL.Query().Get("page"), func(changes ...string) string {
		return address("queue", append([]string{"q", v.Search}, changes...)...)
	})
	v.Counts = fit[v.Pager.from:v.Pager.to]
	h.answer(w, r, http.StatusOK, "queue", &v, v.data())
}

func (v *queueView) data() any {
	type page struct {
		At      time.Time    `json:"at"`
		Waiting int          `json:"waiting"`
		Sending int          `json:"sending"`
		Octets  int64        `json:"octets"`
		Hosts   int          `json:"hosts"`
		Oldest  time.Time    `json:"oldest,omitzero"`
		Causes  []causeCount `json:"causes"`
		Holds   []QueueHold  `json:"holds"`
		Fit     int          `json:"fit"` // lines that were asked for
		Page    int          `json:"page"`
		Pages   int          `json:"pages"`
		Counts  []QueueCount `json:"counts"`
	}
	return page{v.Now, v.Waiting, v.Sending, v.Octets, v.Hosts, v.Oldest, v.Causes, v.Holds, v.Pager.N, v.Pager.Page, v.Pager.Pages, v.Counts}
}

// A messagesView is a list of messages.
type messagesView struct {
	frame
	Filter QueueFilter
	State  string
	States []string // that can be asked for
	List   []QueueMessage
	First  string // the address of the first part, if this is another
	Next   string // that of the next part, if there may be one
	All    int    // how many fit, where that is known: -1 if not
}

func (h *Handler) showMessages(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	v := messagesView{frame: h.frame(r, "messages", "Messages"), State: q.Get("state"), All: -1,
		States: []string{"waiting", "sending", "failed", "delivered", "dropped"}}
	f := QueueFilter{Host: q.Get("host"), Cause: q.Get("cause"), From: q.Get("from"), To: q.Get("to"), Limit: pageSize + 1}
	f.After, _ = strconv.ParseInt(q.Get("after"), 10, 64)
	if v.State != "" {
		if !slices.Contains(v.States, v.State) {
			h.fail(w, r, http.StatusBadRequest, "There is no such state.")
			return
		}
		f.States = []string{v.State}
	}
	list, err := h.Queue.List(r.Context(), f)
	if err != nil {
		h.failed(w, r, "list", err)
		return
	}
	link := func(after string) string {
		return address("messages", "host", f.Host, "cause", f.Cause, "from", f.From, "to", f.To, "state", v.State, "after", after)
	}
	if f.After > 0 {
		v.First = link("")
	}
	if len(list) > pageSize {
		list = list[:pageSize]
		v.Next = link(strconv.FormatInt(list[pageSize-1].ID, 10))
	}
	v.Filter, v.List = f, list
	if v.Wide() {
		s, err := h.queueSurvey(r.Context())
		if err != nil {
			h.failed(w, r, "count", err)
			return
		}
		v.All = 0
		for _, c := range s.counts {
			if (f.Host == "" || c.Host == f.Host) && (f.Cause == "" || c.filterCause() == f.Cause) && (v.State == "" || c.State == v.State) {
				v.All += c.N
			}
		}
	}
	h.answer(w, r, http.StatusOK, "messages", &v, v.data())
}

// Wide says whether all that fit can be counted, and changed at once: those of a
// destination or of a cause.
func (v *messagesView) Wide() bool {
	f := &v.Filter
	return (f.Host != "" || f.Cause != "") && f.From == "" && f.To == "" && (v.State == "" || v.State == "waiting" || v.State == "sending")
}

// Open says whether there are messages in the list that are not over.
func (v *messagesView) Open() bool {
	return slices.ContainsFunc(v.List, isOpen)
}

func (v *messagesView) data() any {
	type page struct {
		At   time.Time      `json:"at"`
		Next string         `json:"next,omitempty"` // where the next part is
		List []QueueMessage `json:"list"`
	}
	return page{v.Now, v.Next, v.List}
}

// isOpen says whether something may still become of the message.
func isOpen(m QueueMessage) bool { return m.State == "waiting" || m.State == "sending" }

// A messageView is one message.
type messageView struct {
	frame
	Message QueueMessage
	Hold    *QueueHold
}

func (h *Handler) showMessage(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.URL.Query().Get("id"), 10, 64)
	if err != nil {
		h.fail(w, r, http.StatusBadRequest, "The number of a message is missing.")
		return
	}
	m, ok, err := h.Queue.Show(r.Context(), id)
	if err != nil {
		h.failed(w, r, "show", err)
		return
	}
	if !ok {
		h.fail(w, r, http.StatusNotFound, "There is no message of this number, or it was over too long ago.")
		return
	}
	v := messageView{frame: h.frame(r, "message", "Message "+strconv.FormatInt(id, 10)), Message: m}
	if s, err := h.queueSurvey(r.Context()); err == nil {
		v.Hold = s.hold(m.Host)
	}
	h.answer(w, r, http.StatusOK, "message", &v, m)
}
