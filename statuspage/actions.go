package statuspage

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// actions are what can be done, each by a POST to its name. Then the browser is
// sent to where the outcome shows.
var actions = map[string]func(*Handler, http.ResponseWriter, *http.Request){
	"hold":    (*Handler).hold,
	"release": (*Handler).release,
	"retry":   func(h *Handler, w http.ResponseWriter, r *http.Request) { h.change(w, r, "retry", h.Queue.Retry) },
	"drop":    func(h *Handler, w http.ResponseWriter, r *http.Request) { h.change(w, r, "drop", h.Queue.Drop) },
}

const (
	mostForm = 64 << 10 // octets
	mostText = 200      // of a reason
)

// mayPost refuses who may not change things, and reads the form.
func (h *Handler) mayPost(w http.ResponseWriter, r *http.Request) bool {
	protection := h.CrossOrigin
	if protection == nil {
		protection = new(http.CrossOriginProtection)
	}
	refuse := func(status int, text string) bool {
		h.log().Warn("status page action refused", "action", r.URL.Path, "remote", r.RemoteAddr, "reason", text)
		h.fail(w, r, status, text)
		return false
	}
	switch {
	case protection.Check(r) != nil:
		return refuse(http.StatusForbidden, "This was sent by another site.")
	case h.Authorize == nil:
		return refuse(http.StatusForbidden, "This page is read-only.")
	case !h.Authorize(r):
		return refuse(http.StatusForbidden, "You may look, but not change anything.")
	}
	r.Body = http.MaxBytesReader(w, r.Body, mostForm)
	if err := r.ParseForm(); err != nil {
		return refuse(http.StatusBadRequest, "The form cannot be read.")
	}
	return true
}

func (h *Handler) hold(w http.ResponseWriter, r *http.Request) {
	host, reason := r.PostForm.Get("host"), strings.TrimSpace(r.PostForm.Get("reason"))
	var until time.Time
	if text := r.PostForm.Get("for"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			h.fail(w, r, http.StatusBadRequest, "How long to hold it is a time such as 30m or 4h.")
			return
		}
		until = time.Now().Add(d)
	}
	switch {
	case host == "":
		h.fail(w, r, http.StatusBadRequest, "The name of a host is missing.")
		return
	case len(reason) > mostText:
		h.fail(w, r, http.StatusBadRequest, "The reason is too long.")
		return
	}
	if err := h.Queue.Hold(r.Context(), host, until, reason); err != nil {
		h.failed(w, r, "hold", err)
		return
	}
	h.done(w, r, "hold", 1, address("host", "name", host), "host", host, "until", until)
}

func (h *Handler) release(w http.ResponseWriter, r *http.Request) {
	host := r.PostForm.Get("host")
	if host == "" {
		h.fail(w, r, http.StatusBadRequest, "The name of a host is missing.")
		return
	}
	was, err := h.Queue.Release(r.Context(), host)
	if err != nil {
		h.failed(w, r, "release", err)
		return
	}
	n := 0
	if was {
		n = 1
	}
	h.done(w, r, "release", n, address("host", "name", host), "host", host)
}

// change does something to the messages that the form names: by their numbers, or
// those of a destination, a cause, or both, and no more than were to be seen.
func (h *Handler) change(w http.ResponseWriter, r *http.Request, what string, do func(context.Context, QueueFilter) (int, error)) {
	var f QueueFilter
	for _, text := range r.PostForm["id"] {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			h.fail(w, r, http.StatusBadRequest, "A message has a number.")
			return
		}
		f.IDs = append(f.IDs, id)
	}
	f.Host, f.Cause = r.PostForm.Get("host"), r.PostForm.Get("cause")
	if state := r.PostForm.Get("state"); state != "" {
		f.States = []string{state}
	}
	if f.IDs == nil {
		var err error
		if f.Limit, err = strconv.Atoi(r.PostForm.Get("most")); err != nil || f.Limit < 1 || f.Host == "" && f.Cause == "" {
			h.fail(w, r, http.StatusBadRequest, "It takes the numbers of messages, or a host or a cause and how many at most.")
			return
		}
	}
	n, err := do(r.Context(), f)
	if err != nil {
		h.counts.forget()
		h.failed(w, r, what, err)
		return
	}
	back := address("messages", "host", f.Host, "cause", f.Cause)
	if len(f.IDs) == 1 {
		back = address("message", "id", strconv.FormatInt(f.IDs[0], 10))
	}
	h.done(w, r, what, n, back, "host", f.Host, "cause", f.Cause, "ids", f.IDs)
}

// done logs an action and sends the browser back.
func (h *Handler) done(w http.ResponseWriter, r *http.Request, what string, n int, back string, about ...any) {
	h.counts.forget()
	h.log().Info("status page action", append([]any{"action", what, "n", n, "remote", r.RemoteAddr}, about...)...)
	mark := "?"
	if strings.Contains(back, "?") {
		mark = "&"
	}
	// Not http.Redirect, which would make it an absolute path, without the prefix
	// that was stripped.
	w.Header().Set("Location", back+mark+url.Values{"did": {what}, "n": {strconv.Itoa(n)}}.Encode())
	w.WriteHeader(http.StatusSeeOther)
}

// notice says what was done, as the address of the page has it. Nothing else that
// is in an address gets into the page as words of ours.
func notice(q url.Values) string {
	n, err := strconv.Atoi(q.Get("n"))
	if err != nil || n < 0 {
		return ""
	}
	switch q.Get("did") {
	case "hold":
		return "Held. It is in force within a second; what is being sent goes on."
	case "release":
		if n == 0 {
			return "There was no hold."
		}
		return "Released."
	case "retry":
		return plural(n, "message") + " due now. Limits, pauses and holds of the host still count."
	case "drop":
		return plural(n, "message") + " dropped."
	}
	return ""
}
