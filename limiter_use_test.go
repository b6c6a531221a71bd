package smtpretry_test

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
)

// TestLimiterUse holds that what may be sent is sent: under load at least
// 99 % of the bound.
func TestLimiterUse(t *testing.T) {
	worst := 1.0
	eachSeed(t, 40, func(t *testing.T, rng *rand.Rand) {
		rate := float64(1+rng.IntN(2000)) / float64(1+rng.IntN(100))
		lim := smtpretry.Limit{Rate: smtpretry.PerSecond(rate), Burst: rng.IntN(30)}
		each := time.Duration(float64(time.Second) / rate)
		// Long against the half of a burst at most that is lost after a rest.
		window := 4000 * each
		l := told(lim)
		// Round trips from short to longer than what the bucket saves, and
		// enough connections for them.
		trip := time.Duration(rng.Float64() * 8 * float64(each))
		p := l.Join(host, 20)
		ctx, cancel := context.WithTimeout(t.Context(), window)
		defer cancel()
		var mu sync.Mutex
		var wg sync.WaitGroup
		started := 0
		for range 20 {
			seed := rng.Uint64()
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(seed, 1))
				for {
					g, err := p.Acquire(ctx, time.Now(), 1, nil)
					if err != nil {
						return
					}
					var conn io.Closer = nopCloser{}
					mu.Lock()
					started++
					mu.Unlock()
					g.Started()
					time.Sleep(time.Duration((0.8 + 0.4*rng.Float64()) * float64(trip)))
					g.Counted()
					g.Release(conn)
				}
			})
		}
		wg.Wait()
		bound := float64(max(lim.Burst, 1)) + rate*window.Seconds()
		used := float64(started) / bound
		if worst = min(worst, used); used < 0.99 || float64(started) > bound+1e-6 {
			t.Errorf("%v, burst %d, MAIL round trip %v: %d started in %v, want 99 to 100 %% of %.1f",
				lim.Rate, lim.Burst, trip, started, window, bound)
		}
	})
	t.Logf("worst use %.2f %% of the bound", 100*worst)
}
