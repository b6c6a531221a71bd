package prometheus

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/metrics"
)

// queueTimeout bounds the look into the queue: a scrape has 10 seconds by default.
const queueTimeout = 5 * time.Second

// Options say what a [Collector] reads. All may be left zero.
type Options struct {
	Limiter  *smtpretry.Limiter // whose hosts are read at each scrape; nil: none
	Queue    metrics.Queue      // read at each scrape, for up to 5 s; nil: there is none
	MaxHosts int                // hosts with series of their own, the first that are met, the rest is "other"; 0: 100; negative: none

	// Exemplar returns labels that lead from a number to where it comes from, such
	// as the trace of the context of Send; nil, or nil returned: none. They take the
	// place of those before, on counters and histograms, and are exposed in the
	// OpenMetrics format only. Those with more than 128 characters are dropped.
	Exemplar func(ctx context.Context) prometheus.Labels
}

// A Collector counts what its Trace is told and reads a limiter and a queue when it is
// scraped. It is a [prometheus.Collector] for any Registerer. For a second one in the
// same Registerer, wrap that with a label that tells them apart
// ([prometheus.WrapRegistererWith]). It is safe for concurrent use.
type Collector struct {
	recorder *metrics.Recorder
	exemplar func(ctx context.Context) prometheus.Labels
	families map[*metrics.Metric]*family
	gauges   map[*metrics.Metric]*prometheus.Desc
}

// New returns a Collector.
func New(o Options) *Collector {
	c := &Collector{
		recorder: metrics.New(metrics.Options{Limiter: o.Limiter, Queue: o.Queue, MaxHosts: o.MaxHosts}),
		exemplar: o.Exemplar,
		families: make(map[*metrics.Metric]*family),
		gauges:   make(map[*metrics.Metric]*prometheus.Desc),
	}
	for _, m := range metrics.All() {
		if m.Kind == metrics.Gauge {
			c.gauges[m] = prometheus.NewDesc(name(m), m.Help, m.Labels, nil)
		} else {
			c.families[m] = newFamily(m)
		}
	}
	return c
}

// Trace returns what is to be put into Config.Trace of each client whose mail is
// counted, beside others by [smtpretry.JoinTraces].
func (c *Collector) Trace() *smtpretry.Trace {
	return c.recorder.Trace(func(ctx context.Context, m *metrics.Metric, v float64, l metrics.Labels) {
		var exemplar prometheus.Labels
		if c.exemplar != nil && m.Kind != metrics.UpDown {
			exemplar = c.exemplar(ctx)
		}
		c.families[m].record(v, l, exemplar)
	})
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, f := range c.families {
		f.all.Describe(to)
	}
	for _, d := range c.gauges {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	for _, f := range c.families {
		f.all.Collect(to)
	}
	ctx, cancel := context.WithTimeout(context.Background(), queueTimeout)
	defer cancel()
	c.recorder.Read(ctx, func(_ context.Context, m *metrics.Metric, v float64, l metrics.Labels) {
		to <- prometheus.MustNewConstMetric(c.gauges[m], prometheus.GaugeValue, v, l.Of(m)...)
	})
}

// name is what Prometheus calls m: with the base unit, and _total.
func name(m *metrics.Metric) string {
	n := strings.ReplaceAll(m.Name, ".", "_")
	switch m.Unit {
	case "s":
		n += "_seconds"
	case "{message}/s":
		n += "_per_second"
	}
	if m.Kind == metrics.Counter {
		n += "_total"
	}
	return n
}
