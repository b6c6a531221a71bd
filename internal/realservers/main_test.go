//go:build linux

package realservers_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/realservers"
)

const (
	accepted = smtpretry.Accepted
	deferred = smtpretry.Deferred
	rejected = smtpretry.Rejected
	inDoubt  = smtpretry.InDoubt
)

func TestMain(m *testing.M) {
	if os.Getenv(helperEnv) != "" {
		helper()
	}
	if err := realservers.Supported(); err != nil {
		fmt.Println("the tests with real mail servers need Linux with apt, and root:", err)
		if os.Getenv("CI") != "" {
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil { // they wait more than they work
		fmt.Println(err)
		os.Exit(1)
	}
	code := m.Run()
	for _, s := range started.list {
		if err := s.Close(); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

// started are the servers to be closed at the end.
var started struct {
	sync.Mutex
	list []*realservers.Server
}

// One of each kind, started by the first test that asks.
var (
	postfix   = shared(realservers.StartPostfix)
	exim      = shared(realservers.StartExim)
	openSMTPD = shared(realservers.StartOpenSMTPD)
)

func shared(start func() (*realservers.Server, error)) func(t *testing.T) *realservers.Server {
	once := sync.OnceValues(func() (*realservers.Server, error) {
		s, err := start()
		if err == nil {
			started.Lock()
			defer started.Unlock()
			started.list = append(started.list, s)
		}
		return s, err
	})
	return func(t *testing.T) *realservers.Server {
		t.Helper()
		s, err := once()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// own starts a server for one test.
func own(t *testing.T, start func() (*realservers.Server, error)) *realservers.Server {
	t.Helper()
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var lastSource atomic.Uint32

// source is an address to connect from that nobody else uses: servers keep
// their limits for each.
func source() net.IP {
	n := lastSource.Add(1)
	return net.IPv4(127, 0, byte(1+n/250), byte(1+n%250))
}

// client makes a Client of a listener.
func client(t *testing.T, addr string, change func(*smtpretry.Config)) *smtpretry.Client {
	t.Helper()
	socket := &net.Dialer{LocalAddr: &net.TCPAddr{IP: source()}}
	cfg := smtpretry.Config{
		Dialer: &smtpretry.Dialer{Addr: addr, LocalName: "client.example.test", NetDial: socket.DialContext},
		Policy: smtpretry.Policy{
			MaxElapsed: 2 * time.Minute,
			Backoff:    smtpretry.Backoff{Initial: 200 * time.Millisecond, Max: 2 * time.Second},
		},
	}
	if change != nil {
		change(&cfg)
	}
	if cfg.Limiter == nil {
		// Nothing is found out gently, so that the servers' limits are met.
		cfg.Limiter = smtpretry.NewLimiter(smtpretry.Limit{})
		if err := cfg.Limiter.SetLimit(addr, smtpretry.Limit{}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := smtpretry.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// text is what most tests send.
const text = "From: me@example.org\r\nSubject: hello\r\n\r\nHello there.\r\n"

func note(to ...string) *smtpretry.Message {
	return &smtpretry.Message{From: "me@example.org", To: to, Body: body(text)}
}

func body(s string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

// names are n addresses that begin alike.
func names(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s%d@example.test", prefix, i)
	}
	return list
}

// attempts collects what a Trace is told.
type attempts struct {
	mu   sync.Mutex
	list []smtpretry.Attempt
}

func (a *attempts) trace() *smtpretry.Trace {
	return &smtpretry.Trace{Attempted: func(one smtpretry.Attempt) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.list = append(a.list, one)
	}}
}

// met counts the attempts whose verdict fits.
func (a *attempts) met(fits func(smtpretry.Verdict) bool) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, one := range a.list {
		if fits(one.Verdict) {
			n++
		}
	}
	return n
}

// replied fits verdicts of a reply code, stage and cause.
func replied(code int, at smtpretry.Stage, cause smtpretry.Cause) func(smtpretry.Verdict) bool {
	return func(v smtpretry.Verdict) bool { return v.Code == code && v.Stage == at && v.Cause == cause }
}

// verdicts lists what was met, for messages of tests.
func (a *attempts) verdicts() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var b strings.Builder
	for _, one := range a.list {
		fmt.Fprintf(&b, "\n  charged %-5v reused %-5v %v", one.Charged, one.Reused, one.Verdict)
	}
	return b.String()
}

// sendEach sends one message to each address, from several goroutines. Each
// must be accepted.
func sendEach(t *testing.T, c *smtpretry.Client, to []string, goroutines int) {
	t.Helper()
	line := make(chan string)
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for addr := range line {
				if _, err := c.Send(t.Context(), note(addr)); err != nil {
					t.Errorf("%s: %v", addr, err)
				}
			}
		})
	}
	for _, addr := range to {
		line <- addr
	}
	close(line)
	wg.Wait()
}

// What each kind of server logs when mail for a recipient is its own.
var (
	postfixTook   = regexp.MustCompile(`(?m)to=<([^>]+)>.*status=sent`)
	eximTook      = regexp.MustCompile(`(?m) <= .* for (.*)$`)
	openSMTPDTook = regexp.MustCompile(`(?m)delivery .*rcpt=<([^>]+)>.*result=Ok`)
)

// took is what a listener's server logs.
func took(listener string) *regexp.Regexp {
	switch {
	case strings.HasPrefix(listener, "exim"):
		return eximTook
	case strings.HasPrefix(listener, "opensmtpd"):
		return openSMTPDTook
	}
	return postfixTook
}

// tookOnce checks in a server's log that it has taken mail for each recipient
// exactly once, and returns how many are missing and how many came more often.
func tookOnce(t *testing.T, s *realservers.Server, took *regexp.Regexp, to []string) (missing, doubled int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) { // it logs when it delivers
		late := time.Now().After(end)
		if !late && !drained(t, s, took, to) {
			continue
		}
		missing, doubled = 0, 0
		counts := logged(s, took)
		for _, addr := range to {
			switch n := counts[addr]; {
			case n == 0:
				missing++
			case n > 1:
				doubled++
			}
		}
		if late || missing == 0 {
			break
		}
	}
	if missing > 0 || doubled > 0 {
		t.Errorf("of %d recipients the server has %d not, and %d more than once", len(to), missing, doubled)
	}
	return missing, doubled
}

// logged returns how often a server says that it has taken mail for each
// recipient.
func logged(s *realservers.Server, took *regexp.Regexp) map[string]int {
	counts := map[string]int{}
	for _, m := range took.FindAllStringSubmatch(s.Log(), -1) {
		for _, addr := range strings.Fields(m[1]) {
			counts[addr]++
		}
	}
	return counts
}

// drained says whether a server has delivered all that it took, so that a
// message which came twice has been logged twice.
func drained(t *testing.T, s *realservers.Server, took *regexp.Regexp, to []string) bool {
	t.Helper()
	if took != postfixTook {
		return true // logged when taken
	}
	queue, err := s.Queue()
	if err != nil {
		t.Fatal(err)
	}
	return !slices.ContainsFunc(to, func(addr string) bool { return queue[addr] > 0 })
}

func wantStates(t *testing.T, r *smtpretry.Result, want ...smtpretry.State) {
	t.Helper()
	if r == nil {
		t.Fatal("there is no Result")
	}
	var got []smtpretry.State
	for _, rc := range r.Recipients {
		got = append(got, rc.State)
	}
	if !slices.Equal(got, want) {
		t.Errorf("recipients are %v, want %v", got, want)
	}
}

// wantError checks that err is for each of the reasons, nil if there is none.
func wantError(t *testing.T, err error, reasons ...error) {
	t.Helper()
	if (err == nil) != (len(reasons) == 0) {
		t.Errorf("the error is %v, want %v", err, reasons)
	}
	for _, r := range reasons {
		if !errors.Is(err, r) {
			t.Errorf("the error is %v, want %v", err, r)
		}
	}
}

// send is Send with a time limit, and no error that a test did not ask for.
func send(t *testing.T, c *smtpretry.Client, m *smtpretry.Message, reasons ...error) *smtpretry.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	res, err := c.Send(ctx, m)
	wantError(t, err, reasons...)
	if res == nil {
		t.Fatal("there is no Result")
	}
	return res
}
