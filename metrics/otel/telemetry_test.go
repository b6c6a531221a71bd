package otel_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/memnet"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/metrics"
	"github.com/smtpretry/smtpretry/metrics/otel"
)

// serve starts a server for an example.
func serve(script ...testserver.Rule) (dialer *smtpretry.Dialer, stop func() error) {
	network := memnet.New()
	l, err := network.Listen("mail.example.org:587")
	if err != nil {
		panic(err)
	}
	srv := testserver.New(testserver.Config{Script: script})
	go srv.Serve(l)
	return &smtpretry.Dialer{Addr: "mail.example.org:587", TLS: smtpretry.TLSNone, NetDial: network.DialContext}, srv.Close
}

func note(to ...string) *smtpretry.Message {
	return &smtpretry.Message{From: "me@example.org", To: to, Body: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("Subject: hello\r\n\r\nHello.\r\n")), nil
	}}
}

// A rig is a client of a scripted server, and all that is told of it.
type rig struct {
	t        *testing.T
	client   *smtpretry.Client
	limiter  *smtpretry.Limiter
	mail     *otel.Telemetry
	provider *sdk.TracerProvider
	spans    *tracetest.SpanRecorder
	reader   *sdkmetric.ManualReader
}

func newRig(t *testing.T, srv *testserver.Server, o otel.Options) *rig {
	t.Helper()
	r := &rig{t: t, limiter: smtpretry.NewLimiter(smtpretry.Limit{}), spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	r.provider = sdk.NewTracerProvider(sdk.WithSpanProcessor(r.spans))
	o.TracerProvider, o.MeterProvider, o.Limiter = r.provider, sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader)), r.limiter
	var err error
	if r.mail, err = otel.New(o); err != nil {
		t.Fatal(err)
	}
	r.client, err = smtpretry.New(smtpretry.Config{Limiter: r.limiter, Trace: r.mail.Trace(), MaxConns: 3,
		Dialer: &smtpretry.Dialer{Addr: srv.Addr(), TLS: smtpretry.TLSNone, NetDial: srv.Dial},
		Policy: smtpretry.Policy{MaxElapsed: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.client.Close() })
	return r
}

// read returns every series as "name value value…", labels in their names' order.
func (r *rig) read() map[string]float64 {
	r.t.Helper()
	var all metricdata.ResourceMetrics
	if err := r.reader.Collect(r.t.Context(), &all); err != nil {
		r.t.Fatal(err)
	}
	got := map[string]float64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			key := func(s attribute.Set) string {
				k := m.Name
				for _, kv := range s.ToSlice() {
					k += " " + kv.Value.AsString()
				}
				return k
			}
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					got[key(p.Attributes)] = float64(p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range d.DataPoints {
					got[key(p.Attributes)] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					got[key(p.Attributes)] = float64(p.Count)
				}
			default:
				r.t.Errorf("%s is a %T", m.Name, d)
			}
		}
	}
	return got
}

// show writes a span with its attributes, those of the network left out.
func show(s sdk.ReadOnlySpan) string {
	var b strings.Builder
	list := func(attrs []attribute.KeyValue) {
		slices.SortFunc(attrs, func(a, b attribute.KeyValue) int { return strings.Compare(string(a.Key), string(b.Key)) })
		for _, kv := range attrs {
			if k := string(kv.Key); !strings.HasPrefix(k, "network.") && k != "server.address" {
				fmt.Fprintf(&b, " %s=%s", strings.TrimPrefix(k, "smtpretry."), kv.Value.String())
			}
		}
	}
	fmt.Fprintf(&b, "%s, %s", s.Name(), s.EndTime().Sub(s.StartTime()).Round(time.Second))
	list(slices.Clone(s.Attributes()))
	if s.Status().Code == codes.Error {
		fmt.Fprintf(&b, " (%s)", s.Status().Description)
	}
	for _, e := range s.Events() {
		fmt.Fprintf(&b, "\n  %s", e.Name)
		list(slices.Clone(e.Attributes))
	}
	return b.String()
}

var mixed = testserver.Config{Script: testserver.Script{
	testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.0 <later@example.net> Greylisted, try again in 20 seconds")).To("later@").Times(1),
	testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 <nobody@example.net> User unknown")).To("nobody@").Always(),
	testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 <none@example.net> User unknown")).To("none@").Always(),
}}

// TestSpans: what became of a message can be read off its spans, and nobody's address.
func TestSpans(t *testing.T) {
	for _, c := range []struct {
		name  string
		texts bool
		want  string
	}{
		{"without texts", false, `
smtp attempt, 0s error.type=bad-recipient attempt=1 cause=bad-recipient charged=true class=permanent recipients=4 recipients.accepted=1 recipients.deferred=1 recipients.rejected=2 refused.stage=rcpt reply.code=550 reply.enhanced=5.1.1 reused=false rule=no-such-user scope=recipient stage=dot (550 permanent bad-recipient at rcpt)
  smtp refusal cause=greylist class=temporary recipients=1 refused.stage=rcpt reply.code=450 reply.enhanced=4.2.0 rule=greylist scope=recipient
  smtp refusal cause=bad-recipient class=permanent recipients=2 refused.stage=rcpt reply.code=550 reply.enhanced=5.1.1 rule=no-such-user scope=recipient
smtp wait, 21s wait.reason=retry
smtp attempt, 0s attempt=2 charged=true recipients=1 recipients.accepted=1 reused=false stage=dot
smtp send, 21s error.type=bad-recipient attempts=2 cause=bad-recipient class=permanent recipients=4 recipients.accepted=2 recipients.rejected=2 refused.stage=rcpt reply.code=550 reply.enhanced=5.1.1 rule=no-such-user scope=recipient (2 accepted, 2 rejected)`},
		{"with texts", true, `reply.text=<nobody@example.net> User unknown`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, testserver.Start(t, mixed), otel.Options{Texts: c.texts})
				ctx, caller := r.provider.Tracer("").Start(t.Context(), "caller")
				_, _ = r.client.Send(ctx, note("a@example.net", "later@example.net", "nobody@example.net", "none@example.net"))
				caller.End()
				var lines []string
				var parent trace.SpanID
				for _, s := range slices.Backward(r.spans.Ended()) {
					switch s.Name() {
					case "caller":
						continue
					case "smtp send":
						parent = s.SpanContext().SpanID()
						if s.Parent().SpanID() != caller.SpanContext().SpanID() {
							t.Error("the message is not below its caller")
						}
					default:
						if s.Parent().SpanID() != parent {
							t.Errorf("%s is not below the message", s.Name())
						}
					}
					lines = append(lines, show(s))
				}
				slices.Reverse(lines)
				got := strings.Join(lines, "\n")
				if c.texts {
					if !strings.Contains(got, c.want) {
						t.Errorf("got\n%s\nwithout %s", got, c.want)
					}
					return
				}
				if strings.Contains(got, "@") {
					t.Errorf("an address is in\n%s", got)
				}
				if blur(got) != blur(strings.TrimPrefix(c.want, "\n")) {
					t.Errorf("got\n%s\nwant\n%s", got, c.want)
				}
			})
		})
	}
}

// blur takes the jitter out of the waits.
func blur(s string) string { return strings.NewReplacer(", 20s", ", 21s", ", 22s", ", 21s").Replace(s) }

// TestNumbers: the same as the Results say, also when many are sent at once.
func TestNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := func(context.Context) ([]metrics.Depth, error) {
			return []metrics.Depth{{Host: "example.net", State: "waiting", N: 5, Oldest: time.Now().Add(-time.Minute)}}, nil
		}
		r := newRig(t, testserver.Start(t, mixed), otel.Options{Queue: queue})
		want := map[string]float64{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				res, err := r.client.Send(t.Context(), note("a@example.net", []string{"later", "nobody", "b"}[i%3]+"@example.net"))
				mu.Lock()
				defer mu.Unlock()
				outcome := "sent"
				if err != nil {
					outcome = "partial"
				}
				want["smtpretry.message.duration 127.0.0.1 "+outcome]++
				for _, rc := range res.Recipients {
					cause := rc.Verdict.Cause.String()
					if rc.State == smtpretry.Accepted {
						cause = "none"
					}
					want["smtpretry.recipients "+cause+" 127.0.0.1 "+rc.State.String()]++
				}
				want["smtpretry.retries 127.0.0.1"] += float64(len(res.Attempts) - 1)
			})
		}
		wg.Wait()
		want["smtpretry.queue.messages none example.net waiting"] = 5
		want["smtpretry.queue.oldest_age example.net waiting"] = 60
		want["smtpretry.limiter.connections 127.0.0.1 busy"] = 0
		want["smtpretry.limiter.waiting_messages 127.0.0.1"] = 0
		want["smtpretry.waiting_messages 127.0.0.1 retry"] = 0
		got := r.read()
		for key, n := range want {
			if v, ok := got[key]; !ok || v != n {
				t.Errorf("%s is %v, want %v", key, v, n)
			}
		}
		if got["smtpretry.wait.duration 127.0.0.1 retry"] == 0 {
			t.Error("no wait was counted")
		}
		if t.Failed() {
			t.Log(slices.Sorted(maps.Keys(got)))
		}
		if err := r.mail.Close(); err != nil {
			t.Error(err)
		}
		if _, ok := r.read()["smtpretry.queue.messages none example.net waiting"]; ok {
			t.Error("the queue is read after Close")
		}
	})
}

// TestErrorType: a call that ends without a refusal says why, too.
func TestErrorType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, testserver.Start(t, testserver.Config{}), otel.Options{})
		if err := r.limiter.SetLimit("127.0.0.1", smtpretry.Limit{Rate: 0.1}); err != nil {
			t.Fatal(err)
		}
		cut, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		for _, c := range []struct {
			send func(context.Context, *smtpretry.Message) (*smtpretry.Result, error)
			ctx  context.Context
			want string
		}{
			{r.client.Send, t.Context(), ""},
			{r.client.Try, t.Context(), "limit"},
			{r.client.Send, cut, "context"},
		} {
			time.AfterFunc(time.Second, cancel)
			_, _ = c.send(c.ctx, note("a@example.net"))
			spans := r.spans.Ended()
			last, got := spans[len(spans)-1], ""
			for _, kv := range last.Attributes() {
				if kv.Key == "error.type" {
					got = kv.Value.AsString()
				}
			}
			if last.Name() != "smtp send" || got != c.want || (last.Status().Code == codes.Error) != (c.want != "") {
				t.Errorf("%s has error.type %q, want %q", show(last), got, c.want)
			}
		}
	})
}

// TestGlobal: without providers it is told to the global ones, which do nothing.
func TestGlobal(t *testing.T) {
	mail, err := otel.New(otel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	trace := mail.Trace()
	ctx := trace.Began(t.Context(), note("a@example.net"))
	if ctx == nil {
		t.Error("the context is gone")
	}
	trace.Attempted(smtpretry.Attempt{})
	trace.Finished(smtpretry.Finish{Result: &smtpretry.Result{}})
	if err := mail.Close(); err != nil {
		t.Error(err)
	}
}

// BenchmarkAttempt is what one attempt costs: numbers only, and with spans that nobody
// reads.
func BenchmarkAttempt(b *testing.B) {
	for name, tracers := range map[string]*sdk.TracerProvider{
		"numbers": sdk.NewTracerProvider(sdk.WithSampler(sdk.NeverSample())),
		"spans":   sdk.NewTracerProvider(),
	} {
		b.Run(name, func(b *testing.B) {
			mail, err := otel.New(otel.Options{TracerProvider: tracers,
				MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))})
			if err != nil {
				b.Fatal(err)
			}
			trace := mail.Trace()
			now := time.Now()
			rcpts := []smtpretry.Recipient{{Address: "you@example.net", State: smtpretry.Accepted}}
			a := smtpretry.Attempt{Number: 1, Host: "mail.example.org", Start: now, End: now.Add(30 * time.Millisecond), Stage: smtpretry.StageDot, Recipients: rcpts}
			f := smtpretry.Finish{Host: a.Host, Start: now, End: a.End, Result: &smtpretry.Result{Recipients: rcpts}}
			m := note("you@example.net")
			b.ReportAllocs()
			for b.Loop() {
				trace.Began(b.Context(), m)
				trace.Attempted(a)
				trace.Finished(f)
			}
		})
	}
}
