package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var (
	shots   = flag.String("shots", "", "write pictures of the pages into this `folder`")
	picture = flag.String("picture", "", "write the picture for the README to this `file`; it takes a minute more")
)

// The browser of all tests, started by the first.
var (
	browserOnce sync.Once
	browserCtx  context.Context
	endBrowser  = func() {}
	browserErr  error
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	endBrowser()
	os.Exit(code)
}

// programs are the names under which a browser without a window is found.
var programs = []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"}

// findBrowser returns the path of a browser. Where there is Debian, and root, it is
// installed if it is missing.
func findBrowser() (string, error) {
	look := func() string {
		for _, name := range programs {
			if path, err := exec.LookPath(name); err == nil {
				return path
			}
		}
		return ""
	}
	if path := look(); path != "" {
		return path, nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Getuid() != 0 {
		return "", errors.New("there is no Chromium, and installing it takes apt-get and root")
	}
	apt := func(args ...string) error {
		cmd := exec.Command("apt-get", append([]string{"-qq", "-o", "DPkg::Lock::Timeout=120"}, args...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
		return nil
	}
	for _, name := range programs[:2] {
		install := []string{"install", "-y", "--no-install-recommends", name, "fonts-dejavu-core"}
		err := apt(install...)
		if err != nil { // the lists of packages are missing or out of date
			err = errors.Join(apt("update"), apt(install...))
		}
		if path := look(); path != "" {
			return path, nil
		}
		log.Print(err)
	}
	return "", errors.New("no Chromium could be installed")
}

// A tab is a page in the browser, and what went on in it.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	faults   []string
	requests []string
	statuses map[string]int64 // by address
}

// newTab opens an empty page. At the end of the test it must have reported no fault,
// and have asked nobody but the hosts of allowed.
func newTab(t *testing.T, allowed ...string) *tab {
	t.Helper()
	browserOnce.Do(func() {
		var path string
		if path, browserErr = findBrowser(); browserErr != nil {
			return
		}
		options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU)
		alloc, endAlloc := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, end := chromedp.NewContext(alloc)
		browserErr = chromedp.Do(ctx)
		browserCtx, endBrowser = ctx, func() { end(); endAlloc() }
	})
	if browserErr != nil {
		if os.Getenv("CI") == "" && browserCtx == nil {
			t.Skip(browserErr)
		}
		t.Fatal(browserErr)
	}
	ctx, end := chromedp.NewContext(browserCtx)
	b := &tab{t: t, ctx: ctx, statuses: map[string]int64{}}
	if err := chromedp.Listen(ctx, b.saw); err != nil {
		t.Fatal(err)
	}
	tellBrowser(b, cdplog.Enable, cdp.Empty{})
	tellBrowser(b, network.Enable, network.EnableParams{})
	b.size(1300, 900, false)
	t.Cleanup(func() {
		end()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, fault := range b.faults {
			t.Errorf("the browser reports: %s", fault)
		}
		for _, at := range b.requests {
			if u, err := url.Parse(at); err != nil || u.Scheme != "about" && !slices.Contains(allowed, u.Host) {
				t.Errorf("the page asked for %s", at)
			}
		}
	})
	return b
}

// saw takes note of what the browser tells.
func (b *tab) saw(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, fmt.Sprintf("exception: %s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		b.faults = append(b.faults, fmt.Sprintf("console.%s: %v", e.Type, e.Args))
	case *cdplog.EventEntryAdded:
		b.faults = append(b.faults, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *page.EventJavascriptDialogOpening:
		b.faults = append(b.faults, "a dialog: "+e.Message)
		go func() {
			_, _ = chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{}) // or the page stands still
		}()
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *network.EventResponseReceived:
		b.statuses[e.Response.URL] = e.Response.Status
	}
}

// forgive takes back the faults that a test has provoked, of which there must be one.
func (b *tab) forgive(about string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(b.faults)
	b.faults = slices.DeleteFunc(b.faults, func(f string) bool { return strings.Contains(f, about) })
	if len(b.faults) == before {
		b.t.Errorf("no fault is about %q", about)
	}
}

// limit is how long one step, or what is waited for, may take.
const limit = 30 * time.Second

func (b *tab) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// result runs what has one.
func result[T any](b *tab, what string, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
	return v
}

// tellBrowser sends a command of the protocol.
func tellBrowser[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
}

// open loads a page.
func (b *tab) open(address string) {
	b.t.Helper()
	b.run(chromedp.Navigate(address))
}

// click presses what a selector finds, and waits for the page that it leads to.
func (b *tab) click(selector string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	resp, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector)))
	for err != nil && strings.Contains(err.Error(), "Could not find node") { // it was replaced since it was found
		resp, err = chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector)))
	}
	if err != nil {
		b.t.Fatalf("%s: %v", selector, err)
	}
	if resp != nil && resp.Status != 200 {
		b.t.Fatalf("%s leads to %s: %d", selector, resp.URL, resp.Status)
	}
}

// eval returns what an expression comes to.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return result(b, expression, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// text returns the words of the first element that a selector finds.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector))
}

// texts returns those of all.
func (b *tab) texts(selector string) []string {
	b.t.Helper()
	return eval[[]string](b, fmt.Sprintf("[...document.querySelectorAll(%q)].map((e) => e.innerText.trim())", selector))
}

// await asks again until an expression is true.
func (b *tab) await(what, expression string) {
	b.t.Helper()
	for end := time.Now().Add(limit); !eval[bool](b, expression); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("%s: never seen. The page:\n%s", what, b.text("main"))
		}
	}
}

// size makes the page so wide and high.
func (b *tab) size(width, height int64, phone bool) {
	b.t.Helper()
	tellBrowser(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: phone})
}

// theme is what the person likes: light or dark.
func (b *tab) theme(which string) {
	b.t.Helper()
	tellBrowser(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: which}}})
}

// shoot writes a picture of the page, if that was asked for.
func (b *tab) shoot(name string) {
	b.t.Helper()
	if *shots == "" {
		return
	}
	png := result(b, name, chromedp.CaptureScreenshot())
	if err := os.MkdirAll(*shots, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// draw writes the page as it stands as SVG, if that was asked for: the page's own
// elements and style within a frame.
func (b *tab) draw(width int64) {
	b.t.Helper()
	if *picture == "" {
		return
	}
	time.Sleep(time.Minute) // for something to be seen
	b.size(width, 700, false)
	b.await("a pause that goes on", "document.querySelector('.cool-down + .why time')?.dataset.until - Date.now() > 8000")
	style := eval[string](b, "fetch(document.querySelector('link[rel=stylesheet]').href).then((r) => r.text())")
	style = regexp.MustCompile(`(?s)/\*.*?\*/|\s*\n\s*`).ReplaceAllString(style, "")
	// In a picture these ask for the size at which it is shown.
	style = regexp.MustCompile(`\(max-width: \d+px\)`).ReplaceAllString(style, "not all")
	style = regexp.MustCompile(`\(min-width: \d+px\)`).ReplaceAllString(style, "all")
	body := eval[string](b, `(() => {
		const body = document.body.cloneNode(true);
		for (const n of body.querySelectorAll("noscript, .skip")) n.remove();
		return new XMLSerializer().serializeToString(body);
	})()`)
	height := eval[int](b, "document.body.scrollHeight")
	svg := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d"><style>%s</style><foreignObject width="%[1]d" height="%[2]d">%[4]s</foreignObject></svg>`+"\n",
		width, height, style, body)
	if err := os.WriteFile(*picture, []byte(svg), 0o644); err != nil {
		b.t.Fatal(err)
	}
}
