package check

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"
	prom "github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/metrics"
	"github.com/smtpretry/smtpretry/metrics/otel"
	"github.com/smtpretry/smtpretry/metrics/prometheus"
)

// A scrape is what the collectors exposed at one moment.
type scrape struct {
	at         time.Time
	prometheus []*dto.MetricFamily
	otel       []*dto.MetricFamily // of the same mail, exported to Prometheus
}

const (
	scrapeInterval = 15 * time.Second
	lifetime       = 30 * time.Minute
)

// TestWorld sends mail to hosts of all kinds for a while, in simulated time, and scrapes
// what is exposed. The dashboard and the documentation are held against that.
func TestWorld(t *testing.T) {
	var scrapes []scrape
	synctest.Test(t, func(t *testing.T) { scrapes = live(t) })
	last := scrapes[len(scrapes)-1]
	t.Run("otel", func(t *testing.T) { checkSame(t, last.prometheus, last.otel) })
	t.Run("doc", func(t *testing.T) { checkDoc(t, last.prometheus) })
	t.Run("names", func(t *testing.T) { checkNames(t, last.prometheus) })
	t.Run("dashboard", func(t *testing.T) { checkDashboard(t, scrapes) })
}

// hosts are the servers, each with what makes a metric move.
func hosts() map[string]testserver.Config {
	always := func(at testserver.Stage, reply string) testserver.Config {
		return testserver.Config{Script: testserver.Script{testserver.On(at, testserver.Reply(reply)).Always()}}
	}
	all := map[string]testserver.Config{
		"policy.example":  always(testserver.Dot, "550 5.7.26 This message fails to pass SPF checks"),
		"blocked.example": always(testserver.Mail, "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"),
		"login.example":   {Users: map[string]string{"user": "another"}},
		"down.example":    {Script: testserver.Script{testserver.On(testserver.Greeting, testserver.Reply("421 4.3.2 Busy").ThenClose()).Always()}},
		"slow.example":    {Script: testserver.Script{testserver.On(testserver.Mail, testserver.Pass().After(2*time.Second)).Always()}},
	}
	for _, name := range []string{"ok", "greylist", "ratelimit", "connlimit", "badrcpt", "indoubt", "badcert", "flaky"} {
		cfg, ok := testserver.Lookup(name)
		if !ok {
			panic(name)
		}
		all[name+".example"] = cfg
	}
	return all
}

func live(t *testing.T) (scrapes []scrape) {
	start := time.Now()
	queue := func(context.Context) ([]metrics.Depth, error) {
		age := time.Since(start)
		return []metrics.Depth{
			{Host: "down.example", State: "waiting", Cause: "overload", N: 1 + int(age/time.Minute), Oldest: start},
			{Host: "ok.example", State: "sending", N: 1 + rand.IntN(3), Oldest: time.Now()},
			{Host: "greylist.example", State: "waiting", Cause: "greylist", N: rand.IntN(20), Oldest: time.Now().Add(-5 * time.Minute)},
			{Host: "policy.example", State: "waiting", Cause: "sender-policy", N: 3, Oldest: start, Held: true},
		}, nil
	}
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	for host, lim := range map[string]smtpretry.Limit{
		"ok.example":   {Rate: 1, Burst: 5, MaxConns: 5},
		"slow.example": {MaxConns: 1},
	} {
		if err := limiter.SetLimit(host, lim); err != nil {
			t.Fatal(err)
		}
	}
	c := prometheus.New(prometheus.Options{Limiter: limiter, Queue: queue})
	registry, exported := prom.NewPedanticRegistry(), prom.NewPedanticRegistry()
	registry.MustRegister(c)
	exporter, err := otelprom.New(otelprom.WithRegisterer(exported), otelprom.WithoutScopeInfo(), otelprom.WithoutTargetInfo())
	if err != nil {
		t.Fatal(err)
	}
	telemetry, err := otel.New(otel.Options{Limiter: limiter, Queue: queue,
		MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))})
	if err != nil {
		t.Fatal(err)
	}
	trace := smtpretry.JoinTraces(c.Trace(), telemetry.Trace())

	ctx, end := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for host, cfg := range hosts() {
		srv := testserver.Start(t, cfg)
		dialer := &smtpretry.Dialer{Addr: srv.Addr(), TLS: smtpretry.TLSNone, NetDial: srv.Dial}
		if cfg.TLS != testserver.NoTLS {
			dialer.TLS, dialer.TLSConfig = smtpretry.TLSStartTLS, &tls.Config{ServerName: "mx.example.test", RootCAs: srv.TLSConfig().RootCAs}
		}
		var auth func(context.Context) (sasl.Client, error)
		if cfg.Users != nil {
			auth = func(context.Context) (sasl.Client, error) { return sasl.NewPlainClient("", "user", "secret"), nil }
		}
		client, err := smtpretry.New(smtpretry.Config{Host: host, Dialer: dialer, Auth: auth, Limiter: limiter, MaxConns: 3, Trace: trace,
			Policy: smtpretry.Policy{MaxElapsed: 5 * time.Minute}})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { mail(ctx, client) })
	}
	look := func() {
		s := scrape{at: time.Now()}
		if s.prometheus, err = registry.Gather(); err != nil {
			t.Fatal(err)
		}
		if s.otel, err = exported.Gather(); err != nil {
			t.Fatal(err)
		}
		scrapes = append(scrapes, s)
	}
	for time.Since(start) < lifetime {
		time.Sleep(scrapeInterval)
		look()
	}
	end()
	wg.Wait()
	time.Sleep(scrapeInterval)
	look() // when nothing moves
	return scrapes
}

// mail sends a few messages now and then until ctx ends.
func mail(ctx context.Context, client *smtpretry.Client) {
	var wg sync.WaitGroup
	for n := 0; ctx.Err() == nil; n++ {
		for range 1 + rand.IntN(5) {
			// Greylisting is for new ones.
			m := note(fmt.Sprintf("a%d@example.net", n/20), []string{"b", "perm", "temp", "full"}[rand.IntN(4)]+"@example.net")
			wg.Go(func() { _, _ = client.Send(ctx, m) })
		}
		select {
		case <-time.After(time.Duration(10+rand.IntN(10)) * time.Second):
		case <-ctx.Done():
		}
	}
	wg.Wait()
	_ = client.Close()
}

func note(to ...string) *smtpretry.Message {
	return &smtpretry.Message{From: "me@example.org", To: to, Body: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("Subject: hello\r\n\r\nHello.\r\n")), nil
	}}
}
