package statuspage_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/summary"
	"github.com/smtpretry/smtpretry/statuspage"
)

const crowd = 10_000

// crowded is a page with many hosts, of each kind some.
func crowded(t testing.TB) *statuspage.Handler {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	page := &statuspage.Handler{Limiter: limiter}
	verdicts := []smtpretry.Verdict{
		refusal(450, "4.2.0 Greylisted, try again in 300 seconds", smtpretry.StageRcpt),
		refusal(421, "4.7.0 Too many connections from your IP", smtpretry.StageGreeting),
		refusal(554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", smtpretry.StageMail),
		refusal(550, "5.1.1 User unknown", smtpretry.StageRcpt),
	}
	for i := range crowd {
		host := fmt.Sprintf("mx%d.customer-%d.example", i%3, i)
		lim := smtpretry.Limit{Rate: smtpretry.PerSecond(float64(1 + i%20)), Burst: 10, MaxConns: 1 + i%5}
		if err := limiter.SetLimit(host, lim); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			for range i % 5 {
				tell(page, host, smtpretry.Verdict{})
			}
			if i%50 == 0 {
				tell(page, host, verdicts[i/50%len(verdicts)])
			}
			tell(page, host, smtpretry.Verdict{})
			if i%100 == 0 {
				tell(page, host, verdicts[i/100%len(verdicts)])
			}
		}
	}
	return page
}

// TestCrowd looks at 10,000 hosts. Each is in exactly one part of the list, is found,
// and stands where it belongs; what it costs is said at the end of the run.
func TestCrowd(t *testing.T) {
	before := heap()
	page := crowded(t)
	recorded := heap() - before

	begin := time.Now()
	first := get(t, page, "/")
	fresh := time.Since(begin)
	begin = time.Now()
	const rounds = 20
	for range rounds {
		get(t, page, "/?page=100")
	}
	again := time.Since(begin) / rounds
	whole := heap() - before
	summary.Add(t, "%d hosts: the page is %d KB, takes %v when all are looked at and %v otherwise; %d MB with the limiter, %d MB more with a survey held",
		crowd, len(first)/1000, fresh.Round(time.Millisecond), again.Round(100*time.Microsecond), recorded>>20, (whole-recorded)>>20)
	if len(first) > 150_000 {
		t.Errorf("the page has %d octets", len(first))
	}
	if fresh > 5*time.Second || again > time.Second {
		t.Errorf("it took %v and %v", fresh, again)
	}
	if whole > 100<<20 {
		t.Errorf("it holds %d MB", whole>>20)
	}
	for _, said := range []string{"1–50 of 10,000", `class="badge needs-action"`} {
		if !strings.Contains(first, said) {
			t.Errorf("the first page lacks %q", said)
		}
	}

	seen := map[string]bool{}
	worst := ""
	rank := map[string]string{"needs-action": "0", "cool-down": "1", "limited": "2", "refusing": "3", "sending": "4", "idle": "5"}
	for n := 1; ; n++ {
		part := getJSON[hostsData](t, page, fmt.Sprintf("/?page=%d", n))
		if part.Page != n || part.Hosts != crowd || part.Pages != crowd/50 {
			t.Fatalf("page %d is %d of %d, of %d hosts", n, part.Page, part.Pages, part.Hosts)
		}
		for _, h := range part.List {
			if seen[h.Host] {
				t.Fatalf("%s is there twice", h.Host)
			}
			seen[h.Host] = true
			if now := rank[h.Condition]; now < worst {
				t.Fatalf("%s, %s, comes too late", h.Host, h.Condition)
			} else {
				worst = now
			}
		}
		if n == part.Pages {
			break
		}
	}
	if len(seen) != crowd {
		t.Errorf("%d of %d hosts are listed", len(seen), crowd)
	}

	if found := getJSON[hostsData](t, page, "/?q=Customer-4711.EX"); found.Fit != 1 || found.List[0].Host != "mx1.customer-4711.example" {
		t.Errorf("search finds %+v", found)
	}
	if none := getJSON[hostsData](t, page, "/?q=nobody"); none.Fit != 0 || len(none.List) != 0 {
		t.Errorf("search finds %+v", none)
	}
	total := 0
	for _, c := range getJSON[hostsData](t, page, "/").Conditions {
		total += c.Hosts
		part := getJSON[hostsData](t, page, "/?condition="+c.Condition)
		if part.Fit != c.Hosts {
			t.Errorf("%d of %d are %s", part.Fit, c.Hosts, c.Condition)
		}
		for _, h := range part.List {
			if h.Condition != c.Condition {
				t.Errorf("%s is %s, among those that are %s", h.Host, h.Condition, c.Condition)
			}
		}
	}
	if total != crowd {
		t.Errorf("%d of %d hosts are in some condition", total, crowd)
	}
	if byName := getJSON[hostsData](t, page, "/?sort=host").List; byName[0].Host != "mx0.customer-0.example" {
		t.Errorf("the first by name is %s", byName[0].Host)
	}
}

// TestBounded feeds attempts at 300,000 hosts, and at a few with all that one can
// have: what is held of them does not grow beyond its bound.
func TestBounded(t *testing.T) {
	if raceOn {
		t.Log("with fewer hosts: the race detector makes each attempt slow")
	}
	hosts := 300_000
	if raceOn {
		hosts = 50_000
	}
	page := &statuspage.Handler{}
	before := heap()
	long := strings.Repeat("x", 1000)
	v := refusal(450, "4.2.0 Greylisted", smtpretry.StageRcpt)
	for i := range hosts {
		v.Code, v.Text = 400+i%7, fmt.Sprintf("%d %s", i, long)
		tell(page, fmt.Sprintf("host-%d.example", i), v)
	}
	wide := heap() - before
	for i := range hosts / 2 { // 8 replies at each of many
		v.Code, v.Text = 400+i%8, fmt.Sprintf("%d %s", i, long)
		tell(page, fmt.Sprintf("host-%d.example", i/8), v)
	}
	deep := heap() - before
	summary.Add(t, "after attempts at %d hosts the page holds %d MB, with long replies %d MB", hosts, wide>>20, deep>>20)
	if most := int64(60 << 20); wide > most || deep > most {
		t.Errorf("it holds %d and %d MB", wide>>20, deep>>20)
	}
	if n := getJSON[hostsData](t, page, "/").Hosts; n > 20_000 || n < 5_000 {
		t.Errorf("%d hosts are known", n)
	}
	runtime.KeepAlive(page)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkAttempted is what each attempt costs the sender.
func BenchmarkAttempted(b *testing.B) {
	page := &statuspage.Handler{Limiter: smtpretry.NewLimiter(smtpretry.Limit{})}
	trace := page.Trace()
	a := smtpretry.Attempt{Host: "mx.example", Stage: smtpretry.StageDot, Queued: "2.0.0 Ok: queued as 12345"}
	b.ReportAllocs()
	for b.Loop() {
		a.End = time.Now()
		trace.Attempted(a)
	}
}

// BenchmarkPage is the list of 10,000 hosts: fresh when all are looked at, kept when
// that was done a moment ago.
func BenchmarkPage(b *testing.B) {
	page := crowded(b)
	for _, target := range []string{"/", "/?sort=waiting", "/?q=4711", "/?format=json", "/host?name=mx0.customer-0.example"} {
		b.Run(target[1:], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if w := do(page, http.MethodGet, target, nil, ""); w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
