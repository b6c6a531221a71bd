package statuspage

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/smtpretry/smtpretry"
)

// A Handler serves the status page. All its fields may be left zero, but without
// Limiter there is little to see. They must not be changed once it is used; then
// it is safe for concurrent use, and must not be copied.
//
// Paths are as below the place where it is mounted: use [http.StripPrefix], with
// the prefix less its final slash. HTML and JSON are answers to GET; Authorize
// decides about POST.
type Handler struct {
	// Limiter is the one that the clients share.
	Limiter *smtpretry.Limiter

	// Queue is shown, too, unless it is nil.
	Queue Queue

	// Title is the page's heading, such as the name of the program or of its
	// machine; empty: "Mail".
	Title string

	// Authorize says whether who sent this request may change things. It is
	// called for each POST, and for each page, to know whether to show the
	// buttons. nil: nobody may.
	Authorize func(*http.Request) bool

	// CrossOrigin refuses a POST that another site makes a browser send. nil: the
	// zero CrossOriginProtection, which takes those from this site's own pages and
	// from programs.
	CrossOrigin *http.CrossOriginProtection

	// Logger is told of each action and of what went wrong; nil: silent.
	Logger *slog.Logger

	once    sync.Once
	rec     *record
	surveys cache[*survey]
	counts  cache[*queueSurvey]
}

func (h *Handler) init() {
	h.once.Do(func() {
		l := h.Limiter
		if l == nil {
			l = smtpretry.NewLimiter(smtpretry.Limit{})
		}
		h.rec = &record{limiter: l, hosts: map[string]*hostRecord{}}
	})
}

// Trace returns what tells the page of attempts; put it into the Config.Trace of
// each client, beside others by [smtpretry.JoinTraces]. What it keeps is bounded,
// however many hosts there are: their last replies and what went through in the last
// five minutes, some 50 MB at most and usually a few.
func (h *Handler) Trace() *smtpretry.Trace {
	h.init()
	return &smtpretry.Trace{
		Attempted: h.rec.attempted,
		Waiting:   func(w smtpretry.Wait) { h.rec.waits(&w, 1) },
		Waited:    func(w smtpretry.Wait) { h.rec.waits(&w, -1) },
	}
}

// policy lets a page load from here only, and be framed by nobody. The script
// writes no markup at all.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// ServeHTTP answers with a page, a part of it, or the outcome of an action.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.init()
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: with that, forms come without their origin, and are
	// refused where there is no Sec-Fetch-Site, that is without TLS.
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
	header.Set("Vary", "Accept")

	name := strings.TrimPrefix(r.URL.Path, "/")
	if r.URL.Path == "" {
		// Mounted without a slash: links would lead beside it.
		if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
			header.Set("Location", path.Base(u.Path)+"/")
			w.WriteHeader(http.StatusMovedPermanently)
			return
		}
	}
	if act := actions[name]; act != nil && h.Queue != nil {
		if h.allow(w, r, http.MethodPost) && h.mayPost(w, r) {
			act(h, w, r)
		}
		return
	}
	if asset := assets[name]; asset != nil {
		if h.allow(w, r, http.MethodGet) {
			asset.serve(w, r)
		}
		return
	}
	show := pages[name]
	if show == nil || h.Queue == nil && name != "" && name != "host" {
		h.fail(w, r, http.StatusNotFound, "There is no such page.")
		return
	}
	if h.allow(w, r, http.MethodGet) {
		show(h, w, r)
	}
}

// pages are what can be looked at.
var pages = map[string]func(*Handler, http.ResponseWriter, *http.Request){
	"":         (*Handler).showHosts,
	"host":     (*Handler).showHost,
	"queue":    (*Handler).showQueue,
	"messages": (*Handler).showMessages,
	"message":  (*Handler).showMessage,
}

// allow refuses other methods.
func (h *Handler) allow(w http.ResponseWriter, r *http.Request, method string) bool {
	if r.Method == method || r.Method == http.MethodHead && method == http.MethodGet {
		return true
	}
	allowed := method
	if method == http.MethodGet {
		allowed = "GET, HEAD"
	}
	w.Header().Set("Allow", allowed)
	h.fail(w, r, http.StatusMethodNotAllowed, "Here only "+method+" is possible.")
	return false
}

// A frame is what all pages have.
type frame struct {
	Title    string
	Page     string // its name, which is also that of its template
	Heading  string
	Now      time.Time
	HasQueue bool
	MayAct   bool
	Notice   string
	Assets   string // their version
}

func (h *Handler) frame(r *http.Request, page, heading string) frame {
	f := frame{Title: h.Title, Page: page, Heading: heading, Now: time.Now(), HasQueue: h.Queue != nil, Assets: assetVersion}
	if f.Title == "" {
		f.Title = "Mail"
	}
	f.MayAct = h.Queue != nil && h.Authorize != nil && h.Authorize(r)
	f.Notice = notice(r.URL.Query())
	return f
}

// wantsJSON says whether a program is asking.
func wantsJSON(r *http.Request) bool {
	if format := r.URL.Query().Get("format"); format != "" {
		return format == "json"
	}
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html")
}

// answer writes a page, or data for a program.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, status int, page string, view, data any) {
	var b bytes.Buffer
	var err error
	if wantsJSON(r) {
		w.Header().Set("Content-Type", "application/json")
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		err = enc.Encode(data)
	} else {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		err = templates[page].Execute(&b, view)
	}
	if err != nil {
		h.log().Error("status page", "page", page, "error", err)
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes()) // whoever asked may be gone
	}
}

// fail answers with what is wrong.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, status int, text string) {
	view := struct {
		frame
		Text string
	}{h.frame(r, "error", http.StatusText(status)), text}
	h.answer(w, r, status, "error", view, map[string]string{"error": text})
}

// failed answers when the queue does not.
func (h *Handler) failed(w http.ResponseWriter, r *http.Request, what string, err error) {
	h.log().Error("status page", "doing", what, "error", err)
	h.fail(w, r, http.StatusServiceUnavailable, "The queue does not answer: "+err.Error())
}

func (h *Handler) log() *slog.Logger {
	if h.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return h.Logger
}
