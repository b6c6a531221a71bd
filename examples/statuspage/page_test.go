package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/queue"
	"github.com/smtpretry/smtpretry/queue/queuepage"
	"github.com/smtpretry/smtpretry/statuspage"
)

func everybody(*http.Request) bool { return true }

// mount serves a page below a prefix and returns its address.
func mount(t *testing.T, page http.Handler) (address, host string) {
	mux := http.NewServeMux()
	mux.Handle("/ops/mail/", http.StripPrefix("/ops/mail", page))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL + "/ops/mail/", srv.Listener.Addr().String()
}

// tell feeds a page with an attempt that ends now; code 0 stands for success.
func tell(page *statuspage.Handler, host string, at smtpretry.Stage, code int, text string) {
	a := smtpretry.Attempt{Host: host, Start: time.Now(), End: time.Now(), Stage: at}
	if code == 0 {
		a.Queued = text
	} else {
		a.Verdict = smtpretry.Classify(&smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: text}, at)
	}
	page.Trace().Attempted(a)
}

// many is a page with 10,000 hosts.
func many(t *testing.T) *statuspage.Handler {
	page := &statuspage.Handler{Limiter: smtpretry.NewLimiter(smtpretry.Limit{}), Title: "mailer-7"}
	for i := range 10_000 {
		host := fmt.Sprintf("mx%d.customer-%d.example", i%3, i)
		if err := page.Limiter.SetLimit(host, smtpretry.Limit{Rate: smtpretry.PerSecond(float64(1 + i%20)), Burst: 10, MaxConns: 1 + i%5}); err != nil {
			t.Fatal(err)
		}
		switch {
		case i%500 == 0:
			tell(page, host, smtpretry.StageMail, 554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org")
		case i%90 == 0:
			tell(page, host, smtpretry.StageGreeting, 421, "4.7.0 Too many connections from your IP")
		case i%2 == 0:
			for range 1 + i%7 {
				tell(page, host, smtpretry.StageDot, 0, "2.0.0 Ok: queued as 4WqX5s0Zz")
			}
		}
	}
	return page
}

// greyQueue is a queue whose n messages were all deferred once, and its page.
func greyQueue(t *testing.T, n int) (*queue.Queue, *statuspage.Handler) {
	srv, err := testserver.Listen(testserver.Config{Limits: testserver.Limits{Greylist: time.Hour}}, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	page := &statuspage.Handler{Limiter: limiter, Authorize: everybody}
	q, err := queue.Open(t.Context(), queue.Config{
		Database: filepath.Join(t.TempDir(), "queue.db"),
		Route:    domain,
		Client: func(host string) (*smtpretry.Client, error) {
			if err := limiter.SetLimit(host, smtpretry.Limit{}); err != nil {
				return nil, err
			}
			return smtpretry.New(smtpretry.Config{Host: host, Limiter: limiter, Trace: page.Trace(), MaxConns: 5,
				Dialer: &smtpretry.Dialer{Addr: srv.Addr(), LocalName: "client.example.org"}})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	page.Queue = queuepage.Of(q)
	for i := range n {
		if _, err := q.Enqueue(t.Context(), letter(fmt.Sprintf("r%d@grey%d.example", i, i%3)), queue.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		deferred := 0
		counts, err := q.Count(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range counts {
			if c.Cause == "greylist" && c.State == queue.Waiting {
				deferred += c.N
			}
		}
		if deferred == n {
			return q, page
		}
		if time.Now().After(end) {
			t.Fatalf("of %d messages %d were deferred: %+v", n, deferred, counts)
		}
	}
}

// TestLive runs the example and watches: times count, the plot moves, what is in
// focus stays there, and it stops when it should.
func TestLive(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	ready, over := make(chan string, 1), make(chan error, 1)
	go func() { over <- run(ctx, "127.0.0.1:0", false, func(u string) { ready <- u }) }()
	var address string
	select {
	case address = <-ready:
	case err := <-over:
		t.Fatal(err)
	}
	defer stop()

	u, _ := url.Parse(address)
	b := newTab(t, u.Host)
	b.open(address)
	b.await("all hosts", "document.querySelectorAll('.hosts tbody tr').length === 6")
	b.await("the plot moves", fmt.Sprintf("document.querySelector('.plot path.accepted').getAttribute('d') !== %q",
		eval[string](b, "document.querySelector('.plot path.accepted').getAttribute('d')")))
	b.await("a host in need", "document.querySelector('.hosts tbody tr .badge')?.innerText === 'needs action'")
	b.shoot("live-light")
	b.draw(1200)

	// With the script alone.
	b.run(chromedp.Click(chromedp.CSS("#live button")))
	const left = `(() => { const m = document.querySelector(".countdown").innerText.match(/(?:(\d+)m )?(\d+)s/); return 60 * (m[1] || 0) + Number(m[2]) })()`
	before, still := eval[int](b, left), b.text("#live time")
	b.await("the time counts down", fmt.Sprintf("%s <= %d", left, before-3))
	if now := eval[int](b, left); now < before-6 {
		t.Errorf("it counted from %d to %d at once", before, now)
	}
	if now := b.text("#live time"); now != still {
		t.Errorf("paused at %s, the page is of %s", still, now)
	}

	b.run(chromedp.Click(chromedp.CSS("#live button")))
	const focused = "document.activeElement.getAttribute('href') ?? ''"
	focus := eval[string](b, "document.querySelector('.hosts tbody tr:nth-child(3) a').focus(), "+focused)
	eval[string](b, "document.querySelector('.hosts').dataset.old = 'yes'")
	b.await("the list is new", "!document.querySelector('.hosts').dataset.old")
	if now := eval[string](b, focused); now != focus {
		t.Errorf("the focus was on %q and is on %q", focus, now)
	}
	eval[string](b, "document.querySelector('.hosts').dataset.old = 'yes'")
	eval[chromedp.Void](b, "getSelection().selectAllChildren(document.querySelector('.last'))")
	stamp := b.text("#live time")
	time.Sleep(5 * time.Second) // it would have been fetched twice
	if b.text("#live time") != stamp || eval[string](b, "document.querySelector('.hosts').dataset.old ?? ''") != "yes" {
		t.Error("the list was replaced though something in it was selected")
	}

	for name, path := range map[string]string{"told": "host?name=told.example", "untold": "host?name=untold.example", "strict": "host?name=strict.example", "queue": "queue"} {
		b.open(address + path)
		b.shoot("live-" + name)
	}
	b.open(address + "host?name=strict.example")
	for _, says := range []string{"needs action", "Waiting alone does not cure it", "A message may start in", "Because of"} {
		if !strings.Contains(b.text("main"), says) {
			t.Errorf("the page of the host that blocks does not say %q:\n%s", says, b.text("main"))
		}
	}

	stop()
	if err := <-over; err != nil {
		t.Error(err)
	}
	b.await("the page says that nobody answers", "document.querySelector('#live.late') !== null && document.querySelector('#said').innerText !== ''")
	b.forgive("ERR_CONNECTION_REFUSED")
}

// TestMany: 10,000 hosts are searched, sorted and paged by hand.
func TestMany(t *testing.T) {
	address, host := mount(t, many(t))
	b := newTab(t, host)
	b.open(address)
	b.shoot("many-light")
	hosts := func() []string { return b.texts(".hosts tbody th") }
	first := hosts()
	if len(first) != 50 || b.text(".hosts tbody .badge") != "needs action" || !strings.Contains(b.text(".pager"), "1–50 of 10,000") {
		t.Errorf("the first page: %q, %q, %d hosts", b.text(".hosts tbody .badge"), b.text(".pager"), len(first))
	}
	b.click(".pager a[rel=next]")
	if second := hosts(); !strings.Contains(b.text(".pager"), "51–100") || slices.Equal(first, second) {
		t.Errorf("the second page: %q", b.text(".pager"))
	}
	b.click(".pager a[rel=prev]")
	if !slices.Equal(hosts(), first) {
		t.Error("the way back leads elsewhere")
	}
	b.click(".hosts thead th:first-child a")
	if got := hosts(); !slices.IsSorted(got) || got[0] != "mx0.customer-0.example" || b.text("[aria-sort]") != "Host ↑" && b.text("[aria-sort]") != "Host" {
		t.Errorf("sorted by name: %q…, %q", got[:3], b.text("[aria-sort]"))
	}
	b.run(chromedp.SendKeys(chromedp.CSS("#q"), "customer-47"))
	b.click("form[role=search] button")
	if got := hosts(); !slices.IsSorted(got) || !strings.Contains(b.text(".pager"), "of 111") {
		t.Errorf("searched: %d hosts, %q", len(got), b.text(".pager"))
	}
	b.run(chromedp.SetValue(chromedp.CSS("#q"), "no-such-host"))
	b.click("form[role=search] button")
	if !strings.Contains(b.text("#hosts"), "No host fits") {
		t.Error(b.text("#hosts"))
	}
	b.click("#hosts a")
	b.click("#conditions a.refusing")
	if all := b.texts(".hosts tbody .badge"); len(all) == 0 || slices.ContainsFunc(all, func(s string) bool { return s != "refusing" }) {
		t.Errorf("those that refuse: %q", all)
	}
	b.click(".hosts tbody th a")
	if !strings.Contains(b.text("#replies"), "Too many connections from your IP") {
		t.Error(b.text("#replies"))
	}
	if took := eval[float64](b, "performance.getEntriesByType('navigation')[0].domComplete"); took > 5000 {
		t.Errorf("the page took %.0f ms", took)
	}
}

// TestForReaders: what a screen reader is told is the same on a desk and on a phone,
// where the table looks like cards.
func TestForReaders(t *testing.T) {
	address, host := mount(t, many(t))
	b := newTab(t, host)
	for _, width := range []int64{1300, 390} {
		b.size(width, 800, width < 500)
		b.open(address)
		tree, err := chromedp.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		if err != nil {
			t.Fatal(err)
		}
		roles := map[string]int{}
		for _, node := range tree.Nodes {
			if !node.Ignored {
				roles[fmt.Sprint(node.Role.Value)]++
			}
		}
		for role, want := range map[string]int{`"banner"`: 1, `"main"`: 1, `"navigation"`: 3, `"search"`: 1, `"table"`: 1, `"caption"`: 1, `"row"`: 51,
			`"columnheader"`: 7, `"rowheader"`: 50, `"cell"`: 300, `"status"`: 1, `"image"`: 1} {
			if roles[role] != want {
				t.Errorf("%d wide: %d of %s, want %d: %v", width, roles[role], role, want, roles)
			}
		}
	}
}

// looks checks what a page must be for everybody, whatever they see it on or with.
const looks = `((asked) => {
	const faults = [], all = (s) => [...document.querySelectorAll(s)];
	const width = document.documentElement.scrollWidth;
	// Not innerWidth, which grows with the page on a phone.
	if (width > asked) faults.push("is " + width + " wide in " + asked + ": " +
		all("main *").filter((e) => e.getBoundingClientRect().right > asked + 1).slice(0, 3).map((e) => e.outerHTML.slice(0, 80)).join(" | "));
	for (const one of ["main", "h1", "header", "title"]) if (all(one).length !== 1) faults.push("has " + all(one).length + " " + one);
	if (!document.documentElement.lang) faults.push("has no language");
	const ids = all("[id]").map((e) => e.id);
	if (new Set(ids).size !== ids.length) faults.push("has an id twice: " + ids);
	for (const n of all("nav")) if (!n.ariaLabel) faults.push("has a nav without a name");
	for (const n of all("section")) if (!n.ariaLabel && !document.getElementById(n.getAttribute("aria-labelledby"))) faults.push("has a section without a name: " + n.id);
	for (const n of all("th")) if (!n.scope) faults.push("has a th without scope: " + n.outerHTML);
	for (const n of all("table")) if (!n.tHead) faults.push("has a table without heads");
	for (const n of all("input:not([type=hidden]), select")) if (!n.labels.length) faults.push("has an input without a label: " + n.name);
	for (const n of all("button, a, summary")) if (!n.innerText.trim() && !n.ariaLabel) faults.push("has a link or button without a name: " + n.outerHTML);
	for (const n of all("svg")) if (!n.ariaHidden && !(n.getAttribute("role") === "img" && n.ariaLabel)) faults.push("has a picture without words");
	if (all("[style]").length || all("style, script:not([src])").length) faults.push("has something inline");
	// Contrast of each text with what is behind it (WCAG 2.2, 1.4.3).
	const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
	const rgb = (c) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); return canvas.getImageData(0, 0, 1, 1).data; };
	const light = ([r, g, b]) => { const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
	const seen = new Set();
	for (const e of all("body *")) {
		if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
		let at = e, ground;
		for (; at; at = at.parentElement) { ground = rgb(getComputedStyle(at).backgroundColor); if (ground[3] === 255) break; }
		const fg = rgb(getComputedStyle(e).color), l = [light(fg), light(ground)].sort((a, b) => b - a), ratio = (l[0] + 0.05) / (l[1] + 0.05);
		const key = fg + "/" + ground;
		if (ratio < 4.5 && !seen.has(key)) { seen.add(key); faults.push("has a contrast of " + ratio.toFixed(2) + " at " + e.outerHTML.slice(0, 100)); }
	}
	return faults;
})(%d)`

// TestLooks looks at each page on a desk, a tablet and two phones, by day and by night.
func TestLooks(t *testing.T) {
	_, page := greyQueue(t, 60)
	for i := range 40 {
		tell(page, fmt.Sprintf("a-host-with-quite-a-long-name-%d.some.department.customer.example", i), smtpretry.StageMail, 421, "4.7.0 Too much mail, slow down, "+strings.Repeat("x", 100*(i%3)))
	}
	tell(page, "blocked.example", smtpretry.StageMail, 554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org")
	if err := page.Queue.Hold(t.Context(), "grey1.example", time.Now().Add(time.Hour), "ask them first"); err != nil {
		t.Fatal(err)
	}
	address, host := mount(t, page)
	b := newTab(t, host)
	grounds := map[string]string{}
	for _, which := range []string{"light", "dark"} {
		b.theme(which)
		for _, screen := range []struct {
			name          string
			width, height int64
			phone         bool
		}{{"desk", 1300, 900, false}, {"laptop", 1024, 700, false}, {"tablet", 800, 1000, false}, {"phone", 390, 844, true}, {"small", 320, 640, true}} {
			b.size(screen.width, screen.height, screen.phone)
			for name, path := range map[string]string{"hosts": "", "host": "host?name=grey1.example", "blocked": "host?name=blocked.example", "queue": "queue",
				"messages": "messages", "of-host": "messages?host=grey0.example&cause=greylist", "message": "message?id=1", "empty": "?q=nothing", "unknown": "host?name=x"} {
				b.open(address + path)
				eval[chromedp.Void](b, "for (const d of document.querySelectorAll('details')) d.open = true")
				for _, fault := range eval[[]string](b, fmt.Sprintf(looks, screen.width)) {
					t.Errorf("%s, %s, %s: %s", name, screen.name, which, fault)
				}
				b.shoot(name + "-" + screen.name + "-" + which)
			}
		}
		grounds[which] = eval[string](b, "getComputedStyle(document.body).backgroundColor")
	}
	if grounds["light"] == grounds["dark"] {
		t.Errorf("light and dark are both %s", grounds["light"])
	}
}

// TestHandsOn holds, releases, retries and drops with the buttons.
func TestHandsOn(t *testing.T) {
	q, page := greyQueue(t, 9)
	address, host := mount(t, page)
	b := newTab(t, host)

	b.open(address + "host?name=grey1.example")
	b.run(chromedp.Click(chromedp.CSS("summary")), chromedp.SendKeys(chromedp.CSS("[name=reason]"), "ask <them>"))
	b.click("form[action=hold] button")
	if said := b.text(".notice"); !strings.HasPrefix(said, "Held.") || !strings.Contains(b.text("main"), "ask <them>") || strings.Contains(eval[string](b, "location.search"), "did") {
		t.Errorf("held: %q", said)
	}
	if holds, err := q.Holds(t.Context()); err != nil || len(holds) != 1 || time.Until(holds[0].Until) < 59*time.Minute {
		t.Errorf("%+v, %v", holds, err)
	}
	b.open(address + "queue")
	b.click("form[action=release] button")
	if said := b.text(".notice"); said != "Released." {
		t.Error(said)
	}
	if holds, err := q.Holds(t.Context()); err != nil || len(holds) != 0 {
		t.Errorf("%+v, %v", holds, err)
	}

	entries, err := q.List(t.Context(), queue.Filter{Host: "grey2.example"})
	if err != nil || len(entries) != 3 {
		t.Fatal(entries, err)
	}
	one := fmt.Sprintf("message?id=%d", entries[0].ID)
	b.open(address + one)
	for _, says := range []string{"greylist", "Greylisted", "r2@grey2.example", "from the same IP address"} {
		if !strings.Contains(b.text("main"), says) {
			t.Errorf("the message's page does not say %q:\n%s", says, b.text("main"))
		}
	}
	b.click("form[action=retry] button")
	if said := b.text(".notice"); !strings.HasPrefix(said, "1 message due now") {
		t.Error(said)
	}
	b.await("tried again", "document.querySelector('#message').innerText.match(/Tries\\s+2/) !== null")

	b.open(address + one)
	b.run(chromedp.Click(chromedp.CSS("summary")))
	b.click("form[action=drop] button")
	if e, err := q.Show(t.Context(), entries[0].ID); err != nil || e.State != queue.Dropped || !strings.Contains(b.text("#message"), "dropped") {
		t.Errorf("%v, %v, %s", e.State, err, b.text("#message"))
	}

	b.open(address + "messages?host=grey0.example")
	b.run(chromedp.Click(chromedp.CSS("summary")))
	b.click("form[action=drop] button")
	if said := b.text(".notice"); said != "3 messages dropped." || b.text(".empty") != "There are no such messages." {
		t.Error(said, b.text("main"))
	}
	if left, err := q.List(t.Context(), queue.Filter{}); err != nil || len(left) != 5 {
		t.Errorf("%d are left, %v", len(left), err)
	}
}

// TestHandsOff: nobody else gets anything done: not a visitor, not another site in the
// browser of somebody who may.
func TestHandsOff(t *testing.T) {
	q, page := greyQueue(t, 3)
	address, host := mount(t, page)
	post := func(b *tab) int {
		b.t.Helper()
		return eval[int](b, fmt.Sprintf("fetch(%q, {method: 'POST', body: new URLSearchParams({host: 'grey0.example', most: '9'})}).then((r) => r.status)", address+"drop"))
	}
	untouched := func(whom string) {
		t.Helper()
		if list, err := q.List(t.Context(), queue.Filter{}); err != nil || len(list) != 3 {
			t.Errorf("%s got something done: %d left, %v", whom, len(list), err)
		}
	}

	// Another site, and another port of the same one, send a form.
	for name, at := range map[string]string{"another site": "localhost", "another port": "127.0.0.1"} {
		evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<link rel=icon href="data:,"><form method=post action="%sdrop"><input name=host value=grey0.example><input name=most value=9></form><script>document.forms[0].submit()</script>`, address)
		}))
		defer evil.Close()
		evilURL := strings.Replace(evil.URL, "127.0.0.1", at, 1)
		u, _ := url.Parse(evilURL)
		b := newTab(t, host, u.Host)
		b.open(evilURL)
		b.await("refused", "document.body?.innerText.includes('another site') === true")
		b.mu.Lock()
		status := b.statuses[address+"drop"]
		b.mu.Unlock()
		if status != http.StatusForbidden {
			t.Errorf("%s: %d", name, status)
		}
		b.forgive("403")
		untouched(name)
	}

	// A visitor.
	page.Authorize = nil
	b := newTab(t, host)
	b.open(address + "host?name=grey0.example")
	if n := eval[int](b, "document.querySelectorAll('form[method=post]').length"); n != 0 {
		t.Errorf("a visitor sees %d buttons", n)
	}
	if status := post(b); status != http.StatusForbidden {
		t.Errorf("a visitor: %d", status)
	}
	b.forgive("403")
	untouched("a visitor")

	page.Authorize = everybody
	if status := post(b); status != http.StatusOK { // after the redirect
		t.Errorf("who may: %d", status)
	}
	if list, err := q.List(t.Context(), queue.Filter{}); err != nil || len(list) != 2 {
		t.Errorf("who may has dropped all but %d, %v", len(list), err)
	}
}

// TestWithoutScript: it can be looked at, searched and worked with.
func TestWithoutScript(t *testing.T) {
	q, page := greyQueue(t, 3)
	address, host := mount(t, page)
	b := newTab(t, host)
	tellBrowser(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.open(address)
	html := func() string {
		b.t.Helper()
		return result(b, "html", chromedp.OuterHTML(chromedp.CSS("html")))
	}
	if text := html(); !strings.Contains(text, "grey2.example") || strings.Contains(text, "Pause") {
		t.Error(text)
	}
	b.shoot("without-script")
	b.click("#live noscript a") // Reload
	b.run(chromedp.SendKeys(chromedp.CSS("#q"), "grey1"))
	b.click("form[role=search] button")
	if text := html(); strings.Contains(text, "name=grey2.example") || !strings.Contains(text, "name=grey1.example") {
		t.Error(text)
	}
	b.open(address + "host?name=grey0.example")
	b.run(chromedp.Click(chromedp.CSS("summary")))
	b.click("form[action=hold] button")
	if holds, err := q.Holds(t.Context()); err != nil || len(holds) != 1 {
		t.Errorf("%+v, %v", holds, err)
	}
}

// TestHostile: what servers, DNS and senders say stays text in a real browser, also
// when the script puts it in place.
func TestHostile(t *testing.T) {
	const evil = `"'><script>alert(1)</script><img src=/x onerror=alert(1)><svg onload=alert(1)>`
	q, page := greyQueue(t, 1)
	page.Title = evil
	feed := func(n int) {
		tell(page, evil, smtpretry.StageRcpt, 450, evil)
		tell(page, "plain.example", smtpretry.StageDot, 0, strings.Repeat(evil, n))
		tell(page, "plain.example", smtpretry.StageMail, 554, evil+"\u202e")
		tell(page, "javascript:alert(1)", smtpretry.StageDot, 0, "ok")
	}
	feed(1)
	if err := q.Hold(t.Context(), evil, time.Time{}, evil); err != nil {
		t.Fatal(err)
	}
	m := &smtpretry.Message{From: "news@example.org", To: []string{`x'onerror='alert(1)&#60;img&#62;@grey0.example`},
		Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("Subject: x\r\n\r\nx\r\n")), nil }}
	if _, err := q.Enqueue(t.Context(), m, queue.Options{}); err != nil {
		t.Fatal(err)
	}
	address, host := mount(t, page)
	b := newTab(t, host)
	in := url.QueryEscape(evil)
	for _, path := range []string{"", "?q=" + in, "host?name=" + in, "host?name=plain.example", "queue", "queue?q=" + in, "messages", "messages?host=" + in, "message?id=2"} {
		b.open(address + path)
		feed(2)
		if eval[bool](b, "document.querySelector('[data-live]') !== null") {
			stamp := b.text("#live time")
			b.await("the page is new", fmt.Sprintf("document.querySelector('#live time').innerText !== %q", stamp))
		}
		if n := eval[int](b, "document.querySelectorAll('img, main script, [onerror], [onload], a[href^=javascript]').length"); n != 0 {
			t.Errorf("%s has %d elements that are not ours", path, n)
		}
	}
	if !strings.Contains(b.text("main"), "x'onerror='alert(1)&#60;img&#62;@") {
		t.Errorf("the address is not shown as it is:\n%s", b.text("main"))
	}
}
