package prometheus_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/metrics"
	"github.com/smtpretry/smtpretry/metrics/prometheus"
)

// gather returns every series as "name{label=value,…}", labels in alphabetical order,
// with its value; of a histogram, how often and, under _sum, how much.
func gather(t *testing.T, c prom.Collector) map[string]float64 {
	t.Helper()
	registry := prom.NewPedanticRegistry() // also checks what is exposed
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var l []string
			for _, p := range m.GetLabel() {
				l = append(l, p.GetName()+"="+p.GetValue())
			}
			labels := "{" + strings.Join(l, ",") + "}"
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				all[f.GetName()+labels] = m.GetCounter().GetValue()
			case dto.MetricType_HISTOGRAM:
				all[f.GetName()+labels] = float64(m.GetHistogram().GetSampleCount())
				all[f.GetName()+"_sum"+labels] = m.GetHistogram().GetSampleSum()
			default:
				all[f.GetName()+labels] = m.GetGauge().GetValue()
			}
		}
	}
	return all
}

// sum adds up what begins with prefix and contains part.
func sum(all map[string]float64, prefix, part string) (n float64) {
	for name, v := range all {
		if strings.HasPrefix(name, prefix) && strings.Contains(name, part) {
			n += v
		}
	}
	return n
}

// TestAgrees: what is counted is what the Results say, whatever the server does, with
// many messages at once and callers that give up.
func TestAgrees(t *testing.T) {
	for _, name := range []string{"ok", "quickstart", "busy", "greylist", "ratelimit", "connlimit", "perconn", "pertransaction",
		"badrcpt", "flaky", "indoubt", "garbage", "size", "lmtp", "auth"} {
		t.Run(name, func(t *testing.T) {
			cfg, ok := testserver.Lookup(name)
			if !ok {
				t.Fatal("there is no such scenario")
			}
			synctest.Test(t, func(t *testing.T) { agrees(t, cfg) })
		})
	}
}

func agrees(t *testing.T, cfg testserver.Config) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	srv := testserver.Start(t, cfg)
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	c := prometheus.New(prometheus.Options{Limiter: limiter})
	var mu sync.Mutex
	want, waited := map[string]float64{}, 0.0
	count := func(name string, n int) {
		if n > 0 {
			want[name] += float64(n)
		}
	}
	trace := smtpretry.JoinTraces(c.Trace(), &smtpretry.Trace{Waited: func(w smtpretry.Wait) {
		mu.Lock()
		defer mu.Unlock()
		waited += w.End.Sub(w.Start).Seconds()
		count(fmt.Sprintf("smtpretry_wait_duration_seconds{host=127.0.0.1,reason=%s}", w.For), 1)
	}})
	client, err := smtpretry.New(smtpretry.Config{
		Dialer:  &smtpretry.Dialer{Addr: srv.Addr(), TLS: smtpretry.TLSNone, LMTP: cfg.LMTP, NetDial: srv.Dial},
		Limiter: limiter, MaxConns: 3, Trace: trace,
		Policy: smtpretry.Policy{MaxElapsed: 5 * time.Minute},
	})
	if err != nil {
		t.Fatal(err)
	}
	locals := []string{"a", "b", "c", "d", "perm", "temp", "full", "blocked"}
	var wg sync.WaitGroup
	for i := range 60 {
		chance := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			m := note()
			m.To = nil
			for range 1 + chance.IntN(8) {
				m.To = append(m.To, fmt.Sprintf("%s@%d.example", locals[chance.IntN(len(locals))], i))
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if chance.IntN(4) == 0 {
				time.AfterFunc(time.Duration(chance.Int64N(int64(time.Minute))), cancel)
			}
			send := client.Send
			if chance.IntN(4) == 0 {
				send = client.Try
			}
			res, err := send(ctx, m)
			if res == nil {
				t.Errorf("no account: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			states := map[smtpretry.State]int{}
			for _, r := range res.Recipients {
				states[r.State]++
				cause := r.Verdict.Cause.String()
				if r.Verdict.Rule == "" {
					cause = "none"
				}
				count(fmt.Sprintf("smtpretry_recipients_total{cause=%s,host=127.0.0.1,state=%s}", cause, r.State), 1)
			}
			outcome := "partial"
			if err == nil {
				outcome = "sent"
			} else if states[smtpretry.Accepted] == 0 {
				outcome = "failed"
			}
			if errors.Is(err, smtpretry.ErrPartial) != (outcome == "partial") {
				t.Errorf("%s, but %v", outcome, err)
			}
			count("smtpretry_message_duration_seconds{host=127.0.0.1,outcome="+outcome+"}", 1)
			count("smtpretry_retries_total{host=127.0.0.1}", max(len(res.Attempts)-1, 0))
			for _, a := range res.Attempts {
				v := a.Verdict
				class, cause, stage := v.Class.String(), v.Cause.String(), v.Stage
				if v.Rule == "" {
					class, cause, stage = "accepted", "none", smtpretry.StageDot
				}
				count(fmt.Sprintf("smtpretry_attempts_total{cause=%s,class=%s,host=127.0.0.1,stage=%s}", cause, class, stage), 1)
				count(fmt.Sprintf("smtpretry_attempt_duration_seconds{class=%s,host=127.0.0.1}", class), 1)
			}
		})
	}
	for range 50 { // scraped meanwhile
		time.Sleep(time.Second)
		gather(t, c)
	}
	wg.Wait()
	_ = client.Close()

	got := gather(t, c)
	if n := sum(got, "smtpretry_waiting_messages", ""); n != 0 {
		t.Errorf("%v messages still wait", n)
	}
	if n := sum(got, "smtpretry_wait_duration_seconds_sum", ""); n < waited-.001 || n > waited+.001 {
		t.Errorf("waited %v s, counted %v", waited, n)
	}
	maps.DeleteFunc(got, func(name string, _ float64) bool {
		return strings.Contains(name, "_sum{") || strings.HasPrefix(name, "smtpretry_limiter_") || strings.HasPrefix(name, "smtpretry_waiting_")
	})
	for name := range got {
		if want[name] != got[name] {
			t.Errorf("%s is %v, want %v", name, got[name], want[name])
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is not there, want %v", name, want[name])
		}
	}
}

// TestLint: names, units and help are as Prometheus wants them.
func TestLint(t *testing.T) {
	dialer, stop := serve()
	defer stop()
	c := prometheus.New(prometheus.Options{Queue: func(context.Context) ([]metrics.Depth, error) {
		return []metrics.Depth{{Host: "example.net", State: "waiting", N: 1, Oldest: time.Now()}}, nil
	}, Limiter: smtpretry.NewLimiter(smtpretry.Limit{MaxConns: 5})})
	send(t, c, dialer, note())
	problems, err := testutil.CollectAndLint(c)
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// send sends m and waits for nothing.
func send(t *testing.T, c *prometheus.Collector, dialer *smtpretry.Dialer, m *smtpretry.Message) {
	t.Helper()
	client, err := smtpretry.New(smtpretry.Config{Dialer: dialer, Trace: c.Trace(),
		Policy: smtpretry.Policy{Backoff: smtpretry.Backoff{Initial: time.Millisecond}}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// TestBadExemplar: one that cannot be shown costs the exemplar, not the process.
func TestBadExemplar(t *testing.T) {
	for _, bad := range []prom.Labels{{}, {"": "x"}, {"__x": "y"}, {"x\xff": "y"}, {"x": "\xff"}, {"x": strings.Repeat("y", 128)}} {
		dialer, stop := serve()
		c := prometheus.New(prometheus.Options{Exemplar: func(context.Context) prom.Labels { return bad }})
		send(t, c, dialer, note())
		if n := sum(gather(t, c), "smtpretry_attempts_total", ""); n != 2 {
			t.Errorf("with %q: %v attempts", bad, n)
		}
		stop()
	}
}

// BenchmarkAttempt is what one attempt costs that is accepted, with all that is
// counted of its message.
func BenchmarkAttempt(b *testing.B) {
	for name, exemplar := range map[string]func(context.Context) prom.Labels{
		"plain":    nil,
		"exemplar": func(context.Context) prom.Labels { return prom.Labels{"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"} },
	} {
		b.Run(name, func(b *testing.B) {
			trace := prometheus.New(prometheus.Options{Exemplar: exemplar}).Trace()
			now := time.Now()
			rcpts := []smtpretry.Recipient{{Address: "you@example.net", State: smtpretry.Accepted}}
			a := smtpretry.Attempt{Number: 1, Host: "mail.example.org", Start: now, End: now.Add(30 * time.Millisecond), Stage: smtpretry.StageDot, Recipients: rcpts}
			f := smtpretry.Finish{Host: a.Host, Start: now, End: a.End, Result: &smtpretry.Result{Recipients: rcpts}}
			b.ReportAllocs()
			for b.Loop() {
				trace.Attempted(a)
				trace.Finished(f)
			}
		})
	}
}

// BenchmarkScrape reads a full house: 100 hosts, and as many again as one.
func BenchmarkScrape(b *testing.B) {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	c := prometheus.New(prometheus.Options{Limiter: limiter})
	trace := c.Trace()
	for i := range 200 {
		host := fmt.Sprintf("mx%d.example", i)
		client, err := smtpretry.New(smtpretry.Config{Host: host, Limiter: limiter, Dialer: &smtpretry.Dialer{Addr: host + ":25"}})
		if err != nil {
			b.Fatal(err)
		}
		defer client.Close()
		trace.Attempted(smtpretry.Attempt{Host: host, Start: time.Now(), End: time.Now()})
	}
	registry := prom.NewRegistry()
	registry.MustRegister(c)
	for b.Loop() {
		if _, err := registry.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
