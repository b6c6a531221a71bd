package smtpretry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
)

// A memStore keeps what limiters share, in memory. Its clock is as wrong as it
// is told, and it can be slow, away, or lose its answers.
type memStore struct {
	mu      sync.Mutex
	kept    map[string][]byte
	ahead   time.Duration
	takes   func() time.Duration // there, and back again; nil: no time
	fails   func() (before, after bool)
	updates int
}

var errAway = errors.New("the store is away")

func (s *memStore) Update(_ context.Context, key string, change func([]byte, time.Time) ([]byte, time.Duration, error)) error {
	if s.takes != nil {
		time.Sleep(s.takes())
		defer func() { time.Sleep(s.takes()) }()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var before, after bool
	if s.fails != nil {
		before, after = s.fails()
	}
	if before {
		return errAway
	}
	next, keep, err := change(bytes.Clone(s.kept[key]), time.Now().Add(s.ahead))
	if err != nil {
		return err
	}
	if keep <= 0 {
		return fmt.Errorf("to be kept for %v", keep)
	}
	if s.kept == nil {
		s.kept = make(map[string][]byte)
	}
	s.kept[key] = bytes.Clone(next)
	s.updates++
	if after {
		return errAway
	}
	return nil
}

func (s *memStore) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.updates
}

func (s *memStore) stored(key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[key]
}

// share gives every limiter of a fleet the store.
func share(t *testing.T, s smtpretry.Store, o smtpretry.ShareOptions, fleet ...*smtpretry.Limiter) {
	t.Helper()
	for _, l := range fleet {
		if err := l.Share(s, o); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSharedBounds holds what is promised over several processes at once, with
// clocks of their own, a store that takes its time and fails now and then, and
// random limits, clients, arrivals, cancellations and refunds.
func TestSharedBounds(t *testing.T) {
	served, over, updates := 0, 0, 0
	eachSeed(t, 4, func(t *testing.T, rng *rand.Rand) {
		lim := randomLimit(rng)
		s := &memStore{ahead: time.Duration(rng.Int64N(int64(time.Hour))) - 30*time.Minute}
		slow := randomTime(rng, 50*time.Millisecond)
		chance := rand.New(rand.NewPCG(rng.Uint64(), 2))
		var mu sync.Mutex
		s.takes = func() time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return randomTime(chance, slow)
		}
		if rng.IntN(3) == 0 {
			often := 0.1 * rng.Float64()
			s.fails = func() (before, after bool) {
				mu.Lock()
				defer mu.Unlock()
				return chance.Float64() < often, chance.Float64() < often
			}
		}
		r := &run{t: t, rng: rng, begin: time.Now(), news: 10 * slow}
		if s.fails != nil {
			r.news = time.Second
		}
		r.limits = []change{{0, lim}}
		var fleet []*smtpretry.Limiter
		for range 2 + rng.IntN(4) {
			l := told(lim)
			l.Skew(time.Duration(rng.Int64N(int64(10*time.Minute))) - 5*time.Minute)
			fleet = append(fleet, l)
		}
		share(t, s, smtpretry.ShareOptions{}, fleet...)
		for _, l := range fleet {
			for range 1 + rng.IntN(2) {
				r.pools = append(r.pools, l.Join(host, 1+rng.IntN(4)))
			}
		}
		spread := randomTime(rng, 20*time.Second)
		var wg sync.WaitGroup
		for range 20 + rng.IntN(60) {
			seed, arrival := rng.Uint64(), time.Duration(rng.Float64()*float64(spread))
			p := r.pools[rng.IntN(len(r.pools))]
			wg.Go(func() {
				time.Sleep(arrival)
				r.message(rand.New(rand.NewPCG(seed, 1)), p)
			})
		}
		wg.Wait()
		r.check()
		served, over, updates = served+r.served, over+r.over, updates+s.count()
		r.rest(fleet...)
		if names, err := smtpretry.Nodes(s.stored(host)); err != nil || len(names) > 0 {
			t.Errorf("after an hour of rest the store knows of %v (%v)", names, err)
		}
	})
	t.Logf("%d messages started, %d gave up waiting, %d updates of the store", served, over, updates)
}

// A fleet of processes that have more to send than the limit lets through uses
// it, and never more.
func TestSharedUse(t *testing.T) {
	for _, lim := range []smtpretry.Limit{
		{Rate: smtpretry.PerSecond(20)},
		{Rate: smtpretry.PerSecond(20), Burst: 10},
		{Rate: smtpretry.PerSecond(100), Burst: 20, MaxConns: 16},
		{Rate: smtpretry.PerSecond(20), Burst: 5, MaxConns: 5},
		{Quotas: []smtpretry.Quota{{N: 500, Per: 20 * time.Second}}},
	} {
		t.Run(fmt.Sprintf("%+v", lim), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const processes, lasts = 8, 40 * time.Second
				rng := rand.New(rand.NewPCG(1, 1))
				var mu sync.Mutex
				s := &memStore{ahead: 3 * time.Minute, takes: func() time.Duration {
					mu.Lock()
					defer mu.Unlock()
					return time.Duration(rng.Int64N(int64(time.Millisecond)))
				}}
				var fleet []*smtpretry.Limiter
				for range processes {
					fleet = append(fleet, told(lim))
				}
				share(t, s, smtpretry.ShareOptions{}, fleet...)
				r := &run{t: t, begin: time.Now(), limits: []change{{0, lim}}}
				ctx, cancel := context.WithTimeout(t.Context(), lasts)
				defer cancel()
				var wg sync.WaitGroup
				by := make([]int, processes)
				for i, l := range fleet {
					p := l.Join(host, 4)
					r.pools = append(r.pools, p)
					for range 4 {
						wg.Go(func() {
							sent := r.hurry(ctx, p, 20*time.Millisecond)
							r.mu.Lock()
							by[i] += sent
							r.mu.Unlock()
						})
					}
				}
				wg.Wait()
				r.check()
				may := float64(lim.Rate) * lasts.Seconds()
				if lim.Rate == 0 {
					may = float64(lim.Quotas[0].N) * lasts.Seconds() / lim.Quotas[0].Per.Seconds()
				}
				used := float64(len(r.starts)) / may
				t.Logf("%d messages in %v, %.1f %% of the limit, by process %v; %d updates", len(r.starts), lasts, 100*used, by, s.count())
				if used < 0.95 {
					t.Errorf("used %.1f %% of the limit, want 95 %%", 100*used)
				}
				for i, n := range by {
					if n == 0 {
						t.Errorf("process %d sent nothing", i)
					}
				}
				closeAll(r.pools...)
				time.Sleep(time.Minute)
			})
		})
	}
}
