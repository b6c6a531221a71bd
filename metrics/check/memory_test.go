package check

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// A memory holds series for queries. Prometheus' own database would do, too, but has
// the clients of three clouds with it.
type memory struct {
	series []*promql.Series
	byName map[string]*promql.Series
	last   int64 // the latest time, in milliseconds
}

// add puts a value at the end of a series.
func (m *memory) add(l labels.Labels, at int64, v float64) {
	key := l.String()
	s := m.byName[key]
	if s == nil {
		if m.byName == nil {
			m.byName = map[string]*promql.Series{}
		}
		s = &promql.Series{Metric: l}
		m.byName[key] = s
		m.series = append(m.series, s)
	}
	s.Floats = append(s.Floats, promql.FPoint{T: at, F: v})
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
	find := func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		set := &memorySet{}
		for _, s := range m.series {
			if slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.Metric.Get(m.Name)) }) {
				continue
			}
			after := func(at int64) int {
				i, _ := slices.BinarySearchFunc(s.Floats, at, func(p promql.FPoint, at int64) int { return cmp.Compare(p.T, at) })
				return i
			}
			if some := s.Floats[after(from):after(to+1)]; len(some) > 0 {
				set.series = append(set.series, promql.NewStorageSeries(promql.Series{Metric: s.Metric, Floats: some}))
			}
		}
		slices.SortFunc(set.series, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
		return set
	}
	return &storage.MockQuerier{SelectMockFunction: find}, nil
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
