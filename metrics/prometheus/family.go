package prometheus

import (
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smtpretry/smtpretry/metrics"
)

// A family is one metric with all its series. It remembers them, since to look them
// up in a vector costs an allocation.
type family struct {
	all    prometheus.Collector
	open   func(l metrics.Labels) series
	mu     sync.RWMutex
	series map[metrics.Labels]series
}

// A series takes a number, with an exemplar or nil.
type series func(v float64, exemplar prometheus.Labels)

func newFamily(m *metrics.Metric) *family {
	f := &family{series: make(map[metrics.Labels]series)}
	switch m.Kind {
	case metrics.Histogram:
		vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name(m), Help: m.Help, Buckets: m.Buckets}, m.Labels)
		f.all, f.open = vec, func(l metrics.Labels) series {
			h := vec.WithLabelValues(l.Of(m)...)
			return func(v float64, exemplar prometheus.Labels) {
				if exemplar == nil {
					h.Observe(v)
				} else {
					h.(prometheus.ExemplarObserver).ObserveWithExemplar(v, exemplar)
				}
			}
		}
	case metrics.UpDown:
		vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name(m), Help: m.Help}, m.Labels)
		f.all, f.open = vec, func(l metrics.Labels) series {
			g := vec.WithLabelValues(l.Of(m)...)
			return func(v float64, _ prometheus.Labels) { g.Add(v) }
		}
	default:
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name(m), Help: m.Help}, m.Labels)
		f.all, f.open = vec, func(l metrics.Labels) series {
			c := vec.WithLabelValues(l.Of(m)...)
			return func(v float64, exemplar prometheus.Labels) {
				if exemplar == nil {
					c.Add(v)
				} else {
					c.(prometheus.ExemplarAdder).AddWithExemplar(v, exemplar)
				}
			}
		}
	}
	return f
}

func (f *family) record(v float64, l metrics.Labels, exemplar prometheus.Labels) {
	f.mu.RLock()
	s := f.series[l]
	f.mu.RUnlock()
	if s == nil {
		f.mu.Lock()
		if s = f.series[l]; s == nil {
			s = f.open(l)
			f.series[l] = s
		}
		f.mu.Unlock()
	}
	s(v, fit(exemplar))
}

// fit drops an exemplar at which the client of Prometheus would panic.
func fit(exemplar prometheus.Labels) prometheus.Labels {
	runes := 0
	for name, value := range exemplar {
		if name == "" || strings.HasPrefix(name, "__") || !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil
		}
		runes += utf8.RuneCountInString(name) + utf8.RuneCountInString(value)
	}
	if len(exemplar) == 0 || runes > prometheus.ExemplarMaxRunes {
		return nil
	}
	return exemplar
}
