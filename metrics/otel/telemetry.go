package otel

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/metrics"
)

const scope = "github.com/smtpretry/smtpretry/metrics/otel"

// Options say where numbers and spans go, and what is read. All may be left zero.
type Options struct {
	MeterProvider  metric.MeterProvider // nil: the global one
	TracerProvider trace.TracerProvider // nil: the global one

	Limiter  *smtpretry.Limiter // whose hosts are read at each collection; nil: none
	Queue    metrics.Queue      // read at each collection; nil: there is none
	MaxHosts int                // hosts with series of their own, the first that are met, the rest is "other"; 0: 100; negative: none

	// Texts adds to spans what may name people: sender and recipients, and what the
	// server said, which often quotes an address.
	Texts bool
}

// A Telemetry counts and traces. It is safe for concurrent use.
type Telemetry struct {
	recorder *metrics.Recorder
	tracer   trace.Tracer
	texts    bool
	counters map[*metrics.Metric]*counter
	reading  metric.Registration
}

// New returns a Telemetry. The error is one of the MeterProvider.
func New(o Options) (*Telemetry, error) {
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	t := &Telemetry{
		recorder: metrics.New(metrics.Options{Limiter: o.Limiter, Queue: o.Queue, MaxHosts: o.MaxHosts}),
		tracer:   o.TracerProvider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL)),
		texts:    o.Texts,
		counters: make(map[*metrics.Metric]*counter),
	}
	if err := t.instruments(o.MeterProvider.Meter(scope)); err != nil {
		return nil, err
	}
	return t, nil
}

// Close ends the reading of the limiter and the queue. What Trace returned goes on.
func (t *Telemetry) Close() error { return t.reading.Unregister() }

// Trace returns what is to be put into Config.Trace of each client, beside others by
// [smtpretry.JoinTraces].
func (t *Telemetry) Trace() *smtpretry.Trace {
	count := t.recorder.Trace(func(ctx context.Context, m *metrics.Metric, v float64, l metrics.Labels) {
		t.counters[m].record(ctx, v, l)
	})
	return smtpretry.JoinTraces(count, &smtpretry.Trace{Began: t.began, Attempted: t.attempted, Waited: t.waited, Finished: t.finished})
}
