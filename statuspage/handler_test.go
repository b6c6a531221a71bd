package statuspage_test

import (
	"bytes"
	"context"
	"errors"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/statuspage"
)

// everything is a page with something of each kind.
func everything(t *testing.T) (*statuspage.Handler, *queue) {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	if err := limiter.SetLimit("fast.example", smtpretry.Limit{Rate: smtpretry.PerSecond(14), Burst: 14, MaxConns: 3}); err != nil {
		t.Fatal(err)
	}
	q := &queue{}
	q.fill(3, "slow.example", "greylist", "450 4.2.0 Greylisted")
	q.fill(60, "fast.example", "", "")
	q.holds = []statuspage.QueueHold{{Host: "slow.example", Reason: "ask them", Created: time.Now()}}
	page := &statuspage.Handler{Limiter: limiter, Queue: q, Authorize: func(*http.Request) bool { return true }}
	for range 3 {
		tell(page, "fast.example", smtpretry.Verdict{})
	}
	tell(page, "slow.example", refusal(450, "4.2.0 Greylisted, try again in 300 seconds", smtpretry.StageRcpt))
	for i := range 120 {
		tell(page, "h"+string(rune('a'+i%26))+string(rune('a'+i/26))+".example", smtpretry.Verdict{})
	}
	return page, q
}

var links = regexp.MustCompile(`(?:href|src)="([^"#]*)"`)

// TestLinks mounts the page below a prefix and follows every link: all lead to
// where it is mounted, and to something.
func TestLinks(t *testing.T) {
	page, _ := everything(t)
	mux := http.NewServeMux()
	mux.Handle("/deep/mail/", http.StripPrefix("/deep/mail", page))
	srv := httptest.NewServer(mux)
	defer srv.Close()

	seen, todo := map[string]bool{}, []string{srv.URL + "/deep/mail/"}
	kinds := map[string]int{}
	for len(todo) > 0 && len(seen) < 1000 {
		at := todo[0]
		todo = todo[1:]
		if seen[at] {
			continue
		}
		seen[at] = true
		r, err := http.Get(at)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(r.Body); err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", at, r.Status)
		}
		u := r.Request.URL
		kinds[strings.TrimPrefix(u.Path, "/deep/mail/")]++
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
			continue
		}
		for _, m := range links.FindAllStringSubmatch(b.String(), -1) {
			to, err := u.Parse(html.UnescapeString(m[1]))
			if err != nil {
				t.Errorf("%s: a link to %q: %v", at, m[1], err)
				continue
			}
			if to.Host != u.Host || !strings.HasPrefix(to.Path, "/deep/mail/") {
				t.Errorf("%s: a link leads away, to %s", at, to)
				continue
			}
			todo = append(todo, to.String())
		}
	}
	for _, kind := range []string{"", "host", "queue", "messages", "message", "style.css", "script.js", "icon.svg"} {
		if kinds[kind] == 0 {
			t.Errorf("no link leads to %q", kind)
		}
	}
	t.Logf("%d addresses: %v", len(seen), kinds)
}

// TestWithoutSlash: mounted at a path without a slash, the page sends to the one with it.
func TestWithoutSlash(t *testing.T) {
	h := http.StripPrefix("/a/mail", &statuspage.Handler{})
	w := do(h, http.MethodGet, "/a/mail", nil, "")
	if got := w.Header().Get("Location"); w.Code != http.StatusMovedPermanently || got != "mail/" {
		t.Errorf("%d to %q", w.Code, got)
	}
	get(t, h, "/a/mail/")
}

// TestZero: without anything there is a page, too.
func TestZero(t *testing.T) {
	if page := get(t, &statuspage.Handler{}, "/"); !strings.Contains(page, "Nothing has been sent yet") || strings.Contains(page, `href="queue"`) {
		t.Error(page)
	}
}

func TestRequests(t *testing.T) {
	page, _ := everything(t)
	alone := &statuspage.Handler{Limiter: page.Limiter}
	for _, c := range []struct {
		h              http.Handler
		method, target string
		accept         string
		code           int
		kind           string
	}{
		{page, "GET", "/", "", 200, "text/html; charset=utf-8"},
		{page, "HEAD", "/", "", 200, "text/html; charset=utf-8"},
		{page, "GET", "/", "text/html,application/json;q=0.9", 200, "text/html; charset=utf-8"},
		{page, "GET", "/", "application/json", 200, "application/json"},
		{page, "GET", "/?format=json", "text/html", 200, "application/json"},
		{page, "GET", "/?format=html", "application/json", 200, "text/html; charset=utf-8"},
		{page, "GET", "/?condition=no-such", "", 400, "text/html; charset=utf-8"},
		{page, "GET", "/?sort=no-such&page=-4", "", 200, "text/html; charset=utf-8"},
		{page, "GET", "/host", "", 400, "text/html; charset=utf-8"},
		{page, "GET", "/host?name=never.seen.example", "", 200, "text/html; charset=utf-8"},
		{page, "GET", "/messages?state=lost", "", 400, "text/html; charset=utf-8"},
		{page, "GET", "/message?id=x", "", 400, "text/html; charset=utf-8"},
		{page, "GET", "/message?id=4711", "application/json", 404, "application/json"},
		{page, "GET", "/no-such", "", 404, "text/html; charset=utf-8"},
		{page, "GET", "/page/frame.html", "", 404, "text/html; charset=utf-8"},
		{page, "GET", "/style.css", "", 200, "text/css; charset=utf-8"},
		{page, "POST", "/", "", 405, "text/html; charset=utf-8"},
		{page, "POST", "/script.js", "", 405, "text/html; charset=utf-8"},
		{page, "GET", "/drop", "", 405, "text/html; charset=utf-8"},
		{page, "PUT", "/hold", "", 405, "text/html; charset=utf-8"},
		{alone, "GET", "/queue", "", 404, "text/html; charset=utf-8"},
		{alone, "GET", "/message?id=1", "", 404, "text/html; charset=utf-8"},
		{alone, "POST", "/drop", "", 404, "text/html; charset=utf-8"},
	} {
		w := do(c.h, c.method, c.target, http.Header{"Accept": {c.accept}}, "")
		if w.Code != c.code || w.Header().Get("Content-Type") != c.kind {
			t.Errorf("%s %s for %q: %d %s, want %d %s", c.method, c.target, c.accept, w.Code, w.Header().Get("Content-Type"), c.code, c.kind)
		}
		if c.method == "HEAD" && w.Body.Len() > 0 {
			t.Errorf("HEAD %s has a body", c.target)
		}
		if w.Code == 405 && w.Header().Get("Allow") == "" {
			t.Errorf("%s %s does not say what is allowed", c.method, c.target)
		}
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none';") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s %s: policy %q", c.method, c.target, csp)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: no nosniff", c.method, c.target)
		}
	}
}

// TestQueueDown: a queue that does not answer leaves the pages about hosts.
func TestQueueDown(t *testing.T) {
	page, q := everything(t)
	q.err = errors.New("disk <full>")
	get(t, page, "/")
	for _, target := range []string{"/queue", "/messages", "/messages?host=a", "/message?id=1"} {
		if w := do(page, "GET", target, nil, ""); w.Code != 503 || !strings.Contains(w.Body.String(), "disk &lt;full&gt;") {
			t.Errorf("%s: %d\n%s", target, w.Code, w.Body)
		}
	}
	if text := get(t, page, "/host?name=slow.example"); !strings.Contains(text, "The queue does not answer: disk &lt;full&gt;") {
		t.Error("the page of a host does not say that the queue is away")
	}
}

// Behind each number is the list of what was counted, however a host is spelt.
func TestNumbersOfQueue(t *testing.T) {
	q := &queue{}
	q.fill(3, "new.example", "", "")
	q.fill(2, "new.example", "greylist", "450 4.7.1 Greylisted")
	q.fill(4, "other.example", "", "")
	q.messages[0].State = "sending"
	page := &statuspage.Handler{Queue: q}
	numbered := regexp.MustCompile(`href="(messages\?[^"]*)">(?:[^<]*</a></th>\n<td class="num">|[a-z ]* <b>|)(\d+)<`)
	for target, want := range map[string]int{"/queue": 6, "/host?name=new.example": 3, "/host?name=New.Example": 3} {
		found := numbered.FindAllStringSubmatch(get(t, page, target), -1)
		if len(found) != want {
			t.Errorf("%s: %d numbers with a link, want %d", target, len(found), want)
		}
		for _, m := range found {
			list := getJSON[struct{ List []any }](t, page, "/"+html.UnescapeString(m[1]))
			if n := strconv.Itoa(len(list.List)); n != m[2] {
				t.Errorf("%s: %s leads to %s messages, and says %s", target, m[1], n, m[2])
			}
		}
	}
}

// TestAtWork sends through real clients to servers that take, slow down, refuse and
// pause, and reads the page.
func TestAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := smtpretry.NewLimiter(smtpretry.Limit{})
		if err := limiter.SetLimit("limited.example", smtpretry.Limit{Rate: smtpretry.PerSecond(5), MaxConns: 1}); err != nil {
			t.Fatal(err)
		}
		page := &statuspage.Handler{Limiter: limiter}
		client := func(host string, cfg testserver.Config) *smtpretry.Client {
			srv := testserver.Start(t, cfg)
			c, err := smtpretry.New(smtpretry.Config{Host: host, Limiter: limiter, Trace: page.Trace(),
				Dialer: &smtpretry.Dialer{Addr: srv.Addr(), NetDial: srv.Dial, LocalName: "client.example.org"}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			return c
		}
		always := func(at testserver.Stage, reply string) testserver.Config {
			return testserver.Config{Script: testserver.Script{testserver.On(at, testserver.Reply(reply)).Always()}}
		}
		busy := client("busy.example", always(testserver.Greeting, "421 4.3.2 Temporary System Problem"))
		blocked := client("blocked.example", always(testserver.Mail, "554 5.7.1 Service unavailable; Client host blocked using zen.spamhaus.org"))
		picky := client("picky.example", always(testserver.Rcpt, "550 5.1.1 User unknown"))
		limited := client("limited.example", testserver.Config{})

		_, _ = busy.Try(t.Context(), note("a@busy.example"))
		_, _ = blocked.Try(t.Context(), note("a@blocked.example"))
		_, _ = picky.Try(t.Context(), note("a@picky.example"))
		for i := range 1000 {
			go func() { _, _ = limited.Send(t.Context(), note("a@limited.example")) }()
			if i == 0 {
				synctest.Wait()
			}
		}
		go func() { _, _ = busy.Send(t.Context(), note("b@busy.example")) }()
		time.Sleep(150 * time.Second)
		_, _ = busy.Try(t.Context(), note("a@busy.example")) // the pause may be over by now
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()

		all := getJSON[hostsData](t, page, "/")
		var order []string
		for _, h := range all.List {
			order = append(order, h.Host+" "+h.Condition)
		}
		want := []string{"blocked.example needs-action", "busy.example cool-down", "limited.example limited", "picky.example idle"}
		if !slices.Equal(order, want) {
			t.Errorf("hosts are %q, want %q", order, want)
		}
		busyNow, limitedNow := all.List[1], all.List[2]
		if left := time.Until(busyNow.Until); busyNow.Binding != "cool-down" || left <= 0 || left > time.Hour {
			t.Errorf("the pause of the busy host: %q for %v", busyNow.Binding, left)
		}
		if r := busyNow.LastReply; r == nil || r.Code != 421 || r.Cause != "overload" || r.N < 2 || r.Advice == "" || r.Stage != "greeting" {
			t.Errorf("its last reply: %+v", r)
		}
		if limitedNow.PerSecond != 5 || limitedNow.Waiting < 200 || limitedNow.Open != 1 {
			t.Errorf("the limited host: %+v", limitedNow)
		}
		if all.Waiting < limitedNow.Waiting || all.PerSecond != 5 || all.Retrying != 1 || all.Open != 1 {
			t.Errorf("all together: %+v", all)
		}

		one := getJSON[hostData](t, page, "/host?name=LIMITED.example")
		if one.Limits[0].Field != "Rate" || one.Limits[0].Value != "5/s" || one.Limits[0].From != smtpretry.OriginSet || one.LimitPerSecond != 5 {
			t.Errorf("its limit: %+v", one.Limits)
		}
		// 150 seconds at the limit, before that nothing.
		for i, b := range one.Bins {
			end := -int(statuspage.Window/time.Second) + (i+1)*one.BinSeconds
			switch {
			case end < -155 && (b.Accepted != 0 || b.Limit != 0),
				end > -145 && (b.Accepted < 4.4 || b.Accepted > 5.6 || b.Limit != 5):
				t.Errorf("up to %d s from now: %+v", end, b)
			}
		}

		html := get(t, page, "/host?name=blocked.example")
		for _, text := range []string{"needs action", "blocked using zen.spamhaus.org", "ask for delisting", "rejected", "reputation"} {
			if !strings.Contains(html, text) {
				t.Errorf("the page of the host that blocks does not say %q", text)
			}
		}
		if html := get(t, page, "/host?name=busy.example"); !strings.Contains(html, `class="countdown"`) || !strings.Contains(html, "Waiting helps") {
			t.Error("the page of the busy host lacks the countdown or the advice")
		}

		// What was heard is forgotten when it is no news.
		time.Sleep(2 * statuspage.Window)
		if h := getJSON[hostData](t, page, "/host?name=picky.example"); h.Accepted+h.Refused != 0 || len(h.Replies) != 1 {
			t.Errorf("after a while: %+v", h)
		}
	})
}

// TestReplies: the latest stands first, equal ones are one, and their number is bounded.
func TestReplies(t *testing.T) {
	page := &statuspage.Handler{}
	for i := range 5 {
		tell(page, "a.example", refusal(450, "4.2.0 Greylisted, id "+strings.Repeat("x", i), smtpretry.StageRcpt))
	}
	for range 3 {
		tell(page, "a.example", smtpretry.Verdict{})
	}
	tell(page, "a.example", refusal(550, "5.1.1 User unknown "+strings.Repeat("é", 1000), smtpretry.StageRcpt))
	h := getJSON[hostData](t, page, "/host?name=a.example")
	if len(h.Replies) != 3 {
		t.Fatalf("%+v", h.Replies)
	}
	last, took, grey := h.Replies[0], h.Replies[1], h.Replies[2]
	if last.Outcome != "rejected" || last.Cause != "bad-recipient" || last.Enhanced != "5.1.1" || len(last.Text) > 310 || !strings.HasSuffix(last.Text, "é…") {
		t.Errorf("%+v", last)
	}
	if took.Outcome != "accepted" || took.N != 3 || took.Text != "2.0.0 Ok: queued" {
		t.Errorf("%+v", took)
	}
	if grey.Outcome != "deferred" || grey.N != 5 || !strings.HasSuffix(grey.Text, "xxxx") {
		t.Errorf("%+v", grey)
	}
	for i := range 50 {
		tell(page, "a.example", refusal(400+i, "no", smtpretry.StageMail))
	}
	if h := getJSON[hostData](t, page, "/host?name=a.example"); len(h.Replies) != 8 || h.Replies[0].Code != 449 {
		t.Errorf("%d replies: %+v", len(h.Replies), h.Replies)
	}
}

// TestPart: a message that was taken for some counts as taken.
func TestPart(t *testing.T) {
	page := &statuspage.Handler{}
	v := refusal(550, "5.1.1 User unknown", smtpretry.StageRcpt)
	page.Trace().Attempted(smtpretry.Attempt{Host: "a.example", End: time.Now(), Verdict: v, Recipients: []smtpretry.Recipient{
		{Address: "a", State: smtpretry.Accepted}, {Address: "b", State: smtpretry.Rejected, Verdict: v}}})
	if h := getJSON[hostData](t, page, "/host?name=a.example"); h.Accepted != 1 || h.Refused != 0 || h.Replies[0].Outcome != "rejected" {
		t.Errorf("%+v", h)
	}
}

// TestHostile: what comes from servers, from DNS and from addresses is never markup.
func TestHostile(t *testing.T) {
	const evil = `"'><script>alert(1)</script><img src=x onerror=alert(1)>{{.}}` + "\u202e\x00\xff`"
	page, q := everything(t)
	tell(page, evil, refusal(450, evil, smtpretry.StageRcpt))
	tell(page, "plain.example", smtpretry.Verdict{Rule: evil, Text: evil, Class: smtpretry.Temporary})
	page.Trace().Attempted(smtpretry.Attempt{Host: "plain.example", End: time.Now(), Queued: evil})
	q.fill(1, evil, evil, evil)
	last := &q.messages[len(q.messages)-1]
	last.From, last.History[0].Addr, last.History[0].Stage, last.Recipients[0].Address = evil, evil, evil, evil
	q.holds = append(q.holds, statuspage.QueueHold{Host: evil, Reason: evil})
	page.Title = evil
	in := url.QueryEscape(evil)
	for _, target := range []string{"/", "/?q=" + in, "/?sort=" + in, "/host?name=" + in, "/host?name=plain.example", "/queue", "/queue?q=" + in,
		"/messages?host=" + in, "/messages?to=" + in + "&from=" + in + "&cause=" + in, "/message?id=" + "64", "/?did=" + in + "&n=1", "/?did=hold&n=" + in} {
		text := get(t, page, target)
		for _, bad := range []string{"<script>alert", "<img", `"'>`, `onerror=alert(1)>`} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %q", target, bad)
			}
		}
		if n := strings.Count(text, "<script"); n != 1 {
			t.Errorf("%s has %d scripts", target, n)
		}
		if !strings.Contains(do(page, "GET", target, http.Header{"Accept": {"application/json"}}, "").Header().Get("Content-Type"), "json") {
			t.Errorf("%s: no JSON", target)
		}
	}
}

// TestActions asks for each action in each way that is refused, and in the one that
// is not.
func TestActions(t *testing.T) {
	type request struct {
		target, form string
		header       http.Header
		may          func(*http.Request) bool
		readOnly     bool
		code         int
		location     string
		asked        string // of the queue
	}
	yes := func(*http.Request) bool { return true }
	no := func(*http.Request) bool { return false }
	bearer := func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer operator" }
	from := func(site string) http.Header { return http.Header{"Sec-Fetch-Site": {site}} }
	for _, c := range []request{
		{"/hold", "host=fast.example&for=1h&reason=ask", nil, yes, false, 303, "host?name=fast.example&did=hold&n=1", "hold fast.example"},
		{"/hold", "host=fast.example", from("same-origin"), yes, false, 303, "host?name=fast.example&did=hold&n=1", "hold fast.example"},
		{"/release", "host=slow.example", nil, yes, false, 303, "host?name=slow.example&did=release&n=1", "release slow.example"},
		{"/release", "host=fast.example", nil, yes, false, 303, "host?name=fast.example&did=release&n=0", "release fast.example"},
		{"/retry", "id=2", nil, yes, false, 303, "message?id=2&did=retry&n=1", "retry"},
		{"/retry", "id=2&id=3", nil, yes, false, 303, "messages?did=retry&n=2", "retry"},
		{"/retry", "host=fast.example&most=60", nil, yes, false, 303, "messages?host=fast.example&did=retry&n=60", "retry"},
		{"/drop", "cause=greylist&most=2", nil, yes, false, 303, "messages?cause=greylist&did=drop&n=2", "drop"},
		{"/drop", "id=2", http.Header{"Authorization": {"Bearer operator"}}, bearer, false, 303, "message?id=2&did=drop&n=1", "drop"},

		{"/drop", "id=2", http.Header{"Authorization": {"Bearer visitor"}}, bearer, false, 403, "", ""},
		{"/drop", "id=2", nil, no, false, 403, "", ""},
		{"/drop", "id=2", nil, nil, false, 403, "", ""},
		{"/hold", "host=fast.example", from("cross-site"), yes, false, 403, "", ""},
		{"/hold", "host=fast.example", from("same-site"), yes, false, 403, "", ""},
		{"/hold", "host=fast.example", http.Header{"Origin": {"https://evil.example"}}, yes, false, 403, "", ""},
		{"/hold", "host=fast.example", http.Header{"Origin": {"null"}}, yes, false, 403, "", ""},

		{"/drop", "", nil, yes, false, 400, "", ""},
		{"/drop", "most=1000", nil, yes, false, 400, "", ""},
		{"/drop", "host=fast.example", nil, yes, false, 400, "", ""},
		{"/drop", "id=all", nil, yes, false, 400, "", ""},
		{"/drop?id=2", "x=1", nil, yes, false, 400, "", ""},
		{"/hold", "for=1h", nil, yes, false, 400, "", ""},
		{"/hold", "host=a&for=-1h", nil, yes, false, 400, "", ""},
		{"/hold", "host=a&reason=" + strings.Repeat("x", 201), nil, yes, false, 400, "", ""},
		{"/hold", "host=" + strings.Repeat("x", 100_000), nil, yes, false, 400, "", ""},
		{"/release", "x=1", nil, yes, false, 400, "", ""},
	} {
		page, q := everything(t)
		page.Authorize = c.may
		var log bytes.Buffer
		page.Logger = slog.New(slog.NewTextHandler(&log, nil))
		w := do(page, "POST", c.target, c.header, c.form)
		name := c.target + " " + c.form[:min(len(c.form), 40)]
		if w.Code != c.code || w.Header().Get("Location") != c.location {
			t.Errorf("%s: %d to %q, want %d to %q", name, w.Code, w.Header().Get("Location"), c.code, c.location)
		}
		if got := strings.Join(q.asked, ", "); got != c.asked {
			t.Errorf("%s: the queue was asked to %q, want %q", name, got, c.asked)
		}
		if c.code == 303 && !strings.Contains(log.String(), "status page action") || c.code == 403 && !strings.Contains(log.String(), "refused") {
			t.Errorf("%s: the log says %q", name, log.String())
		}
		if c.code == 303 { // what comes next tells of it
			if text := get(t, page, "/"+c.location); !strings.Contains(text, `class="notice" role="status"`) {
				t.Errorf("%s: nothing tells of it", name)
			}
		}
	}
}

// TestHoldTime: a hold ends when it was said.
func TestHoldTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page, q := everything(t)
		do(page, "POST", "/hold", nil, "host=fast.example&for=1h&reason=+ask+them+")
		do(page, "POST", "/hold", nil, "host=other.example&for=")
		a, b := q.holds[1], q.holds[2]
		if got := time.Until(a.Until); got != time.Hour || a.Reason != "ask them" || !b.Until.IsZero() {
			t.Errorf("%+v, %+v", a, b)
		}
	})
}

// TestButtons: they are there for those who may press them.
func TestButtons(t *testing.T) {
	page, _ := everything(t)
	targets := []string{"/host?name=slow.example", "/host?name=fast.example", "/queue", "/messages", "/messages?host=fast.example", "/message?id=1"}
	for _, target := range targets {
		if !strings.Contains(get(t, page, target), `method="post"`) {
			t.Errorf("%s has no buttons", target)
		}
	}
	page.Authorize = func(*http.Request) bool { return false }
	for _, target := range append(targets, "/") {
		if strings.Contains(get(t, page, target), `method="post"`) {
			t.Errorf("%s has buttons for nobody", target)
		}
	}
	page.Authorize = nil
	for _, target := range targets {
		if strings.Contains(get(t, page, target), `method="post"`) {
			t.Errorf("%s has buttons though it is read-only", target)
		}
	}
}

// TestMessagesInParts: each message is in one part of the list.
func TestMessagesInParts(t *testing.T) {
	page, _ := everything(t)
	type part struct {
		Next string
		List []struct{ ID int }
	}
	seen := 0
	for at := "messages"; at != ""; {
		p := getJSON[part](t, page, "/"+at)
		for _, m := range p.List {
			if seen++; m.ID != seen {
				t.Fatalf("after %d comes %d", seen-1, m.ID)
			}
		}
		at = p.Next
	}
	if seen != 63 {
		t.Errorf("%d of 63 are listed", seen)
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", time.Millisecond: "1s", 59 * time.Second: "59s", 59*time.Second + 1: "1m 00s", 252 * time.Second: "4m 12s",
		time.Hour: "1h 00m", 47*time.Hour + 59*time.Minute: "47h 59m", 50 * time.Hour: "2d 2h",
	} {
		if got := statuspage.Span(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
	for r, want := range map[float64]string{0: "0/s", 1234.4: "1,234/s", 14.2: "14/s", 9.96: "10/s", 2.5: "2.5/s", 2: "2/s", 0.5: "0.5/s", 1.0 / 60: "1/min", 0.001: "3.6/h"} {
		if got := statuspage.PerTime(r); got != want {
			t.Errorf("%v is %q, want %q", r, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -999: "-999", 1234567: "1,234,567"} {
		if got := statuspage.Number(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 32 << 20: "32.0 MiB", 1 << 62: "4.0 EiB"} {
		if got := statuspage.Octets(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

// away is a store of shared limits that cannot be reached.
type away struct{}

func (away) Update(context.Context, string, func([]byte, time.Time) ([]byte, time.Duration, error)) error {
	return errors.New("the store is away")
}

// TestStoreAway: a limit that is shared, and whose store cannot be reached, needs
// somebody.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := smtpretry.NewLimiter(smtpretry.Limit{})
		if err := limiter.Share(away{}, smtpretry.ShareOptions{}); err != nil {
			t.Fatal(err)
		}
		page := &statuspage.Handler{Limiter: limiter}
		srv := testserver.Start(t, testserver.Config{})
		c, err := smtpretry.New(smtpretry.Config{Host: "shared.example", Limiter: limiter, Trace: page.Trace(),
			Dialer: &smtpretry.Dialer{Addr: srv.Addr(), NetDial: srv.Dial, LocalName: "client.example.org"}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		go func() { _, _ = c.Send(ctx, note("a@shared.example")) }()
		time.Sleep(5 * time.Second)
		h := getJSON[hostsData](t, page, "/").List[0]
		if h.Condition != "needs-action" || h.Binding != "store" || h.Waiting != 1 {
			t.Errorf("%+v", h)
		}
		if text := get(t, page, "/host?name=shared.example"); !strings.Contains(text, "Shared with other processes; the store cannot be reached") {
			t.Error(text)
		}
		<-ctx.Done()
		synctest.Wait()
	})
}
