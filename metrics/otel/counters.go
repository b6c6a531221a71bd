package otel

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/smtpretry/smtpretry/metrics"
)

// instruments makes one for each Metric.
func (t *Telemetry) instruments(meter metric.Meter) error {
	gauges := make(map[*metrics.Metric]metric.Float64ObservableGauge)
	var observed []metric.Observable
	for _, m := range metrics.All() {
		if m.Kind != metrics.Gauge {
			c, err := newCounter(meter, m)
			if err != nil {
				return err
			}
			t.counters[m] = c
			continue
		}
		g, err := meter.Float64ObservableGauge(m.Name, metric.WithDescription(m.Help), metric.WithUnit(m.Unit))
		if err != nil {
			return err
		}
		gauges[m] = g
		observed = append(observed, g)
	}
	var err error
	t.reading, err = meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		t.recorder.Read(ctx, func(_ context.Context, m *metrics.Metric, v float64, l metrics.Labels) {
			o.ObserveFloat64(gauges[m], v, metric.WithAttributeSet(set(m, l)))
		})
		return nil
	}, observed...)
	return err
}

// A counter is an instrument that is told of what happens. It remembers the sets of
// attributes, which are dear to make.
type counter struct {
	m    *metrics.Metric
	add  func(ctx context.Context, v float64, series metric.MeasurementOption)
	mu   sync.RWMutex
	sets map[metrics.Labels]metric.MeasurementOption
}

func newCounter(meter metric.Meter, m *metrics.Metric) (*counter, error) {
	c := &counter{m: m, sets: make(map[metrics.Labels]metric.MeasurementOption)}
	switch m.Kind {
	case metrics.Histogram:
		h, err := meter.Float64Histogram(m.Name, metric.WithDescription(m.Help), metric.WithUnit(m.Unit), metric.WithExplicitBucketBoundaries(m.Buckets...))
		c.add = func(ctx context.Context, v float64, series metric.MeasurementOption) { h.Record(ctx, v, series) }
		return c, err
	case metrics.UpDown:
		n, err := meter.Int64UpDownCounter(m.Name, metric.WithDescription(m.Help), metric.WithUnit(m.Unit))
		c.add = func(ctx context.Context, v float64, series metric.MeasurementOption) { n.Add(ctx, int64(v), series) }
		return c, err
	default:
		n, err := meter.Int64Counter(m.Name, metric.WithDescription(m.Help), metric.WithUnit(m.Unit))
		c.add = func(ctx context.Context, v float64, series metric.MeasurementOption) { n.Add(ctx, int64(v), series) }
		return c, err
	}
}

func (c *counter) record(ctx context.Context, v float64, l metrics.Labels) {
	c.mu.RLock()
	series := c.sets[l]
	c.mu.RUnlock()
	if series == nil {
		series = metric.WithAttributeSet(set(c.m, l))
		c.mu.Lock()
		c.sets[l] = series
		c.mu.Unlock()
	}
	c.add(ctx, v, series)
}

func set(m *metrics.Metric, l metrics.Labels) attribute.Set {
	attrs := make([]attribute.KeyValue, len(m.Labels))
	for i, v := range l.Of(m) {
		attrs[i] = attribute.String(m.Labels[i], v)
	}
	return attribute.NewSet(attrs...)
}
