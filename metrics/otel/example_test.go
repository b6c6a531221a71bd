package otel_test

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/metrics/otel"
)

// A Telemetry for all clients of a limiter. The spans of a message are below that of
// the context which Send is called with.
func Example() {
	dialer, stop := serve(testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.0 Greylisted")))
	defer stop()
	spans := tracetest.NewSpanRecorder() // a program has an exporter
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))

	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	mail, err := otel.New(otel.Options{TracerProvider: provider, Limiter: limiter})
	if err != nil {
		panic(err)
	}
	defer mail.Close()
	client, err := smtpretry.New(smtpretry.Config{
		Dialer:  dialer,
		Limiter: limiter,
		Trace:   mail.Trace(),
		Policy:  smtpretry.Policy{Backoff: smtpretry.Backoff{Initial: 200 * time.Millisecond}}, // the default is 5 s
	})
	if err != nil {
		panic(err)
	}
	defer client.Close()

	ctx, order := provider.Tracer("shop").Start(context.Background(), "confirm order")
	if _, err := client.Send(ctx, note("you@example.net")); err != nil {
		panic(err)
	}
	order.End()

	names := map[string]string{}
	for _, s := range spans.Ended() {
		names[s.SpanContext().SpanID().String()] = s.Name()
	}
	for _, s := range spans.Ended() {
		fmt.Printf("%s in %q: %s\n", s.Name(), names[s.Parent().SpanID().String()], cmp.Or(s.Status().Description, "ok"))
	}
	// Output:
	// smtp attempt in "smtp send": 450 temporary greylist at rcpt
	// smtp wait in "smtp send": ok
	// smtp attempt in "smtp send": ok
	// smtp send in "confirm order": ok
	// confirm order in "": ok
}

// Numbers alone, of a client that has a Trace of the program's own, too.
func ExampleTelemetry_Trace() {
	dialer, stop := serve()
	defer stop()
	reader := metric.NewManualReader() // a program has an exporter
	mail, err := otel.New(otel.Options{MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	if err != nil {
		panic(err)
	}
	defer mail.Close()
	own := &smtpretry.Trace{Finished: func(f smtpretry.Finish) { fmt.Println(f.Result) }}
	client, err := smtpretry.New(smtpretry.Config{Dialer: dialer, Trace: smtpretry.JoinTraces(mail.Trace(), own)})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	if _, err := client.Send(context.Background(), note("you@example.net")); err != nil {
		panic(err)
	}

	var read metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &read); err != nil {
		panic(err)
	}
	for _, m := range read.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
			for _, p := range sum.DataPoints {
				fmt.Println(m.Name, p.Value)
			}
		}
	}
	// Output:
	// 1 accepted
	// smtpretry.attempts 1
	// smtpretry.recipients 1
}
