package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// A job is what a process of a fleet is told to do.
type job struct {
	Server  string
	Store   string // as open understands it
	Node    string
	Limit   smtpretry.Limit
	Lease   time.Duration
	Alone   float64
	Senders int
	Conns   int
}

const jobEnv = "SMTPRETRY_FLEET_JOB"

// Main runs what this process was started for, if it is one of a fleet: call it
// first in TestMain. It then does not return.
func Main(open func(ctx context.Context, where string) (smtpretry.Store, error)) {
	text := os.Getenv(jobEnv)
	if text == "" {
		return
	}
	if err := work(text, open); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// work sends as much as it may until nobody holds the other end of its standard
// input any more.
func work(text string, open func(context.Context, string) (smtpretry.Store, error)) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	store, err := open(ctx, j.Store)
	if err != nil {
		return err
	}
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	if err := limiter.SetLimit(host(j.Server), j.Limit); err != nil {
		return err
	}
	if err := limiter.Share(store, smtpretry.ShareOptions{Lease: j.Lease, Alone: j.Alone}); err != nil {
		return err
	}
	client, err := smtpretry.New(smtpretry.Config{Dialer: &smtpretry.Dialer{Addr: j.Server}, Limiter: limiter, MaxConns: j.Conns})
	if err != nil {
		return err
	}
	var sending sync.WaitGroup
	for range j.Senders {
		sending.Go(func() {
			for ctx.Err() == nil {
				_, _ = client.Send(ctx, &smtpretry.Message{From: j.Node + "@fleet.example", To: []string{"to@example.com"},
					Body: func() (io.ReadCloser, error) {
						return io.NopCloser(strings.NewReader("Subject: fleet\r\n\r\nHello\r\n")), nil
					}})
			}
		})
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	cancel()
	sending.Wait()
	return client.Close()
}

func host(addr string) string { return addr[:strings.LastIndexByte(addr, ':')] }

// A Fleet is a number of processes that send through one limit, and what their
// server saw of them.
type Fleet struct {
	t      testing.TB
	job    job
	server *testserver.Server
	nodes  []*process

	mu    sync.Mutex
	mails []Mail
}

// A Mail is one MAIL that came in.
type Mail struct {
	At   time.Time
	From string
}

type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// Start starts n processes of this test program that share lim, each with eight
// senders and four connections. They end with the test.
func Start(t testing.TB, n int, where string, lim smtpretry.Limit, lease time.Duration, alone float64) *Fleet {
	t.Helper()
	f := &Fleet{t: t, job: job{Store: where, Limit: lim, Lease: lease, Alone: alone, Senders: 8, Conns: 4}}
	hook := func(at testserver.At) *testserver.Action {
		if at.Stage == testserver.Mail {
			f.mu.Lock()
			f.mails = append(f.mails, Mail{At: time.Now(), From: at.From})
			f.mu.Unlock()
		}
		return nil
	}
	var err error
	f.server, err = testserver.Listen(testserver.Config{Bodies: testserver.KeepSize, Hook: hook}, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.job.Server = f.server.Addr()
	t.Cleanup(func() {
		f.Stop()
		f.server.Close()
	})
	for i := range n {
		f.start(fmt.Sprintf("node%d", i))
	}
	return f
}

func (f *Fleet) start(node string) {
	f.t.Helper()
	f.job.Node = node
	text, err := json.Marshal(f.job)
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), jobEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.nodes = append(f.nodes, &process{cmd, stdin})
}

// Await waits until so many MAILs have come in.
func (f *Fleet) Await(n int) {
	f.t.Helper()
	for end := time.Now().Add(time.Minute); len(f.Mails()) < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("%d messages in a minute, want %d", len(f.Mails()), n)
		}
	}
}

// Kill ends process i at once.
func (f *Fleet) Kill(i int) {
	f.t.Helper()
	if err := f.nodes[i].cmd.Process.Kill(); err != nil {
		f.t.Error(err)
	}
	_ = f.nodes[i].cmd.Wait() // killed
	f.nodes[i] = nil
}

// Stop ends all processes, and waits for them.
func (f *Fleet) Stop() {
	for _, p := range f.nodes {
		if p != nil {
			p.stdin.Close()
		}
	}
	for _, p := range f.nodes {
		if p == nil {
			continue
		}
		late := time.AfterFunc(30*time.Second, func() { _ = p.cmd.Process.Kill() })
		if err := p.cmd.Wait(); err != nil {
			f.t.Errorf("a process ended with %v", err)
		}
		late.Stop()
	}
	f.nodes = nil
}

// Mails returns what has come in so far.
func (f *Fleet) Mails() []Mail {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.mails)
}

// MostConns returns how many connections were open at once at most.
func (f *Fleet) MostConns() int { return f.server.Stats().MostOpen }

// Check holds mails against the limit in every window, allowing for what is late
// on its way by up to jitter, and returns which part of it was used.
func Check(t testing.TB, mails []Mail, lim smtpretry.Limit, jitter time.Duration) (used float64) {
	t.Helper()
	if len(mails) < 2 {
		t.Fatalf("%d messages", len(mails))
	}
	slices.SortFunc(mails, func(a, b Mail) int { return a.At.Compare(b.At) })
	burst, rate := float64(max(lim.Burst, 1)), float64(lim.Rate)
	worst, window := 0.0, []Mail(nil) // above rate·t
	for i, from := range mails {
		for j, to := range mails[i:] {
			if more := float64(j+1) - rate*to.At.Sub(from.At).Seconds(); more > worst {
				worst, window = more, mails[i:i+j+1]
			}
		}
	}
	if worst > burst+rate*jitter.Seconds() {
		first, last := window[0].At, window[len(window)-1].At
		t.Errorf("%d messages within %v, from %v on: %.1f more than rate·t, want at most %.0f; by process %v",
			len(window), last.Sub(first), first.Sub(mails[0].At), worst, burst, by(window))
	}
	took := mails[len(mails)-1].At.Sub(mails[0].At).Seconds()
	used = float64(len(mails)) / (rate*took + burst)
	t.Logf("%d messages in %.1f s: %.1f %% of the limit, at most %.1f above rate·t (burst %.0f); by process %v", len(mails), took, 100*used, worst, burst, by(mails))
	return used
}

func by(mails []Mail) map[string]int {
	count := map[string]int{}
	for _, m := range mails {
		node, _, _ := strings.Cut(m.From, "@")
		count[node]++
	}
	return count
}

const (
	// Jitter is how late a message may be on its way on a machine that is busy.
	// The bound itself is held in bubbles, by the library's TestShared*.
	Jitter = 200 * time.Millisecond

	// Used is the part of a limit that is used at least on such a machine. On a
	// quiet one it is all of it; so much is held in bubbles, too.
	Used = 0.6
)

// TestFleet holds eight processes to one limit, which they use, while one of them is
// killed.
func TestFleet(t *testing.T, where string) {
	lim := smtpretry.Limit{Rate: smtpretry.PerSecond(200), Burst: 20, MaxConns: 12}
	f := Start(t, 8, where, lim, 2*time.Second, 0)
	f.Await(600)
	f.Kill(3)
	f.Await(1800)
	f.Stop()
	if used := Check(t, f.Mails(), lim, Jitter); used < Used {
		t.Errorf("used %.1f %% of the limit, want at least %.0f %%", 100*used, 100*Used)
	}
	if most := f.MostConns(); most > lim.MaxConns {
		t.Errorf("%d connections at once, want at most %d", most, lim.MaxConns)
	}
}

// TestFleetAway sees that while the store is away nothing is sent, or each process
// keeps to its stated part; and that when it is back no more comes than before. The store is at
// a URL, to which what else open needs is added.
func TestFleetAway(t *testing.T, url, more string) {
	for _, alone := range []float64{0, 0.1} {
		t.Run(fmt.Sprint(alone), func(t *testing.T) {
			gate := NewGate(t, url)
			lim := smtpretry.Limit{Rate: smtpretry.PerSecond(100), Burst: 10}
			const processes, away = 8, 3 * time.Second
			f := Start(t, processes, gate.URL+more, lim, 2*time.Second, alone)
			f.Await(200)
			gate.Shut()
			time.Sleep(500 * time.Millisecond) // what had been granted goes
			before := len(f.Mails())
			time.Sleep(away)
			during := len(f.Mails()) - before
			gate.Open()
			f.Await(before + during + 300)
			f.Stop()
			t.Logf("%d messages in %v without the store", during, away)
			may := alone * processes * float64(lim.Rate) * away.Seconds()
			if float64(during) > may+processes || float64(during) < Used*may {
				t.Errorf("%d messages while the store was away, want %.0f", during, may)
			}
			Check(t, f.Mails(), lim, Jitter)
		})
	}
}
