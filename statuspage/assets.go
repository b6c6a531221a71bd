package statuspage

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"time"
)

//go:embed page
var files embed.FS

// An asset is a file that pages need.
type asset struct {
	content []byte
	kind    string
}

var assets = map[string]*asset{
	"style.css": {read("style.css"), "text/css; charset=utf-8"},
	"script.js": {read("script.js"), "text/javascript; charset=utf-8"},
	"icon.svg":  {read("icon.svg"), "image/svg+xml"},
}

// assetVersion changes with them, so that they can be kept for good.
var assetVersion = func() string {
	all := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(assets)) {
		all.Write(assets[name].content)
	}
	return base64.RawURLEncoding.EncodeToString(all.Sum(nil)[:9])
}()

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", a.kind)
	w.Header().Del("Vary")
	if r.URL.Query().Get("v") == assetVersion {
		w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.content)
	}
}

func read(name string) []byte {
	b, err := files.ReadFile("page/" + name)
	if err != nil {
		panic("statuspage: " + err.Error()) // it is embedded
	}
	return b
}

// templates are those of the pages, by name.
var templates = func() map[string]*template.Template {
	base := template.Must(template.New("frame.html").Funcs(functions).ParseFS(files, "page/frame.html", "page/parts.html"))
	all := map[string]*template.Template{}
	for _, page := range []string{"hosts", "host", "queue", "messages", "message", "error"} {
		all[page] = template.Must(template.Must(base.Clone()).ParseFS(files, "page/"+page+".html"))
	}
	return all
}()

var functions = template.FuncMap{
	"span":    span,
	"number":  number,
	"plural":  plural,
	"octets":  octets,
	"perTime": perTime,
	"ms":      time.Time.UnixMilli,
	"iso":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"utc":     func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"open":    isOpen,
	"messages": func(c QueueCount) string {
		return address("messages", "host", c.Host, "cause", c.filterCause(), "state", c.State)
	},
	"more":    func(list []QueueRecipient) int { return len(list) - 1 },
	"pair":    func(row any, now time.Time) pair { return pair{row, now} },
	"sorting": newSorting,
	"left":    func(t, now time.Time) string { return span(t.Sub(now)) },
	"ago":     func(t, now time.Time) string { return span(now.Sub(t)) },
}

// A pair is what a part of a page needs that counts the time.
type pair struct {
	Row any
	Now time.Time
}

// A sorting is the head of a column that the list can be sorted by.
type sorting struct {
	Label, Link, Direction string
	Here                   bool
}

func newSorting(v *hostsView, order, label, direction string) sorting {
	return sorting{label, v.SortLink(order), direction, v.Order == order}
}
