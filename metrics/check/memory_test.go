package check

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// A memory holds series for queries. Prometheus' own database would do, too, but has
// the clients of three clouds with it.
type memory struct {
	series []*memorySeries
	byName map[string]*memorySeries
	last   int64 // the latest time, in milliseconds
}

type memorySeries struct {
	labels  labels.Labels
	samples []chunks.Sample
}

// add puts a value at the end of a series.
func (m *memory) add(l labels.Labels, at int64, v float64) {
	key := l.String()
	s := m.byName[key]
	if s == nil {
		if m.byName == nil {
			m.byName = map[string]*memorySeries{}
		}
		s = &memorySeries{labels: l}
		m.byName[key] = s
		m.series = append(m.series, s)
	}
	s.samples = append(s.samples, sample{at, v})
	m.last = max(m.last, at)
}

// load adds series in the notation of Prometheus' tests, one a line, a value a minute.
func (m *memory) load(t *testing.T, lines []string) {
	t.Helper()
	for _, line := range lines {
		l, values, err := promParser.ParseSeriesDesc(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for i, v := range values {
			if !v.Omitted {
				m.add(l, int64(i)*time.Minute.Milliseconds(), v.Value)
			}
		}
	}
}

// query asks for one moment.
func (m *memory) query(ctx context.Context, expr string, at time.Time) (promql.Vector, error) {
	q, err := engine.NewInstantQuery(ctx, m, nil, expr, at)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	return q.Exec(ctx).Vector()
}

func (m *memory) Querier(from, to int64) (storage.Querier, error) {
	return &memoryQuerier{m, from, to}, nil
}

type memoryQuerier struct {
	*memory
	from, to int64
}

func (q *memoryQuerier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &memorySet{}
	for _, s := range q.series {
		fits := func(m *labels.Matcher) bool { return m.Matches(s.labels.Get(m.Name)) }
		if slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !fits(m) }) {
			continue
		}
		after := func(at int64) int {
			i, _ := slices.BinarySearchFunc(s.samples, at, func(s chunks.Sample, at int64) int { return int(s.T() - at) })
			return i
		}
		if some := s.samples[after(q.from):after(q.to+1)]; len(some) > 0 {
			set.series = append(set.series, storage.NewListSeries(s.labels, some))
		}
	}
	slices.SortFunc(set.series, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return set
}

func (q *memoryQuerier) Close() error { return nil }

func (q *memoryQuerier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil // queries do not ask for it
}

func (q *memoryQuerier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

type memorySet struct {
	series []storage.Series
	now    storage.Series
}

func (s *memorySet) Next() bool {
	if len(s.series) == 0 {
		return false
	}
	s.now, s.series = s.series[0], s.series[1:]
	return true
}

func (s *memorySet) At() storage.Series                { return s.now }
func (s *memorySet) Err() error                        { return nil }
func (s *memorySet) Warnings() annotations.Annotations { return nil }

type sample struct {
	t int64
	v float64
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.v }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }
