package prometheus_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/memnet"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/metrics/prometheus"
)

// serve starts a server that puts off the first recipient, for the examples.
func serve() (dialer *smtpretry.Dialer, stop func() error) {
	network := memnet.New()
	l, err := network.Listen("mail.example.org:587")
	if err != nil {
		panic(err)
	}
	srv := testserver.New(testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.0 Greylisted")),
	}})
	go srv.Serve(l)
	return &smtpretry.Dialer{Addr: "mail.example.org:587", TLS: smtpretry.TLSNone, NetDial: network.DialContext}, srv.Close
}

func note() *smtpretry.Message {
	return &smtpretry.Message{From: "me@example.org", To: []string{"you@example.net"}, Body: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("Subject: hello\r\n\r\nHello.\r\n")), nil
	}}
}

// One Collector for all clients of a limiter: registered where the program registers
// its other metrics, its Trace in Config.
func Example() {
	dialer, stop := serve()
	defer stop()

	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	mail := prometheus.New(prometheus.Options{Limiter: limiter})
	registry := prom.NewRegistry()
	registry.MustRegister(mail)
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))

	client, err := smtpretry.New(smtpretry.Config{
		Dialer:  dialer,
		Limiter: limiter,
		Trace:   mail.Trace(),
		Policy:  smtpretry.Policy{Backoff: smtpretry.Backoff{Initial: time.Millisecond}}, // the default is 5 s
	})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	if _, err := client.Send(context.Background(), note()); err != nil {
		panic(err)
	}

	page := httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(page.Body.String()) {
		if strings.Contains(line, "_total{") {
			fmt.Print(line)
		}
	}
	// Output:
	// smtpretry_attempts_total{cause="greylist",class="temporary",host="mail.example.org",stage="rcpt"} 1
	// smtpretry_attempts_total{cause="none",class="accepted",host="mail.example.org",stage="dot"} 1
	// smtpretry_recipients_total{cause="none",host="mail.example.org",state="accepted"} 1
	// smtpretry_retries_total{host="mail.example.org"} 1
}

type traceKey struct{}

// An exemplar leads from a number on a dashboard to the trace of one message. With
// OpenTelemetry the trace's name is
// trace.SpanContextFromContext(ctx).TraceID().String().
func ExampleOptions() {
	dialer, stop := serve()
	defer stop()

	mail := prometheus.New(prometheus.Options{Exemplar: func(ctx context.Context) prom.Labels {
		id, ok := ctx.Value(traceKey{}).(string)
		if !ok {
			return nil
		}
		return prom.Labels{"trace_id": id}
	}})
	registry := prom.NewRegistry()
	registry.MustRegister(mail)

	client, err := smtpretry.New(smtpretry.Config{Dialer: dialer, Trace: mail.Trace(),
		Policy: smtpretry.Policy{Backoff: smtpretry.Backoff{Initial: time.Millisecond}}})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	ctx := context.WithValue(context.Background(), traceKey{}, "4bf92f3577b34da6a3ce929d0e0e4736")
	if _, err := client.Send(ctx, note()); err != nil {
		panic(err)
	}

	page := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", "application/openmetrics-text")
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(page, request)
	for line := range strings.Lines(page.Body.String()) {
		if strings.HasPrefix(line, "smtpretry_retries_total") {
			fmt.Println(line[:strings.LastIndex(line, " ")]) // without the time
		}
	}
	// Output:
	// smtpretry_retries_total{host="mail.example.org"} 1.0 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 1.0
}

// A program that looks at refusals itself is told of them beside the metrics.
func ExampleCollector_Trace() {
	dialer, stop := serve()
	defer stop()

	mail := prometheus.New(prometheus.Options{})
	prom.NewRegistry().MustRegister(mail)
	own := &smtpretry.Trace{Attempted: func(a smtpretry.Attempt) {
		if a.Err != nil {
			fmt.Println(a.Verdict.Code, a.Verdict.Cause)
		}
	}}
	client, err := smtpretry.New(smtpretry.Config{
		Dialer: dialer,
		Trace:  smtpretry.JoinTraces(mail.Trace(), own),
		Policy: smtpretry.Policy{Backoff: smtpretry.Backoff{Initial: time.Millisecond}},
	})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	if _, err := client.Send(context.Background(), note()); err != nil {
		panic(err)
	}
	// Output:
	// 450 greylist
}
