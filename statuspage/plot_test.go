package statuspage_test

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/statuspage"
)

var plotSeed = flag.Uint64("plot.seed", 0, "seed for the traffic that is drawn; 0: another each time")

var (
	paths  = regexp.MustCompile(`<path class="(?:accepted|refused|limit)" d="([^"]*)"`)
	number = regexp.MustCompile(`-?[0-9.]+`)
)

// TestPlotStaysInside draws traffic of all kinds: every line stays in its field, and is
// made of numbers.
func TestPlotStaysInside(t *testing.T) {
	seed := cmp.Or(*plotSeed, uint64(time.Now().UnixNano()))
	t.Logf("replay with: go test -run '^TestPlotStaysInside$' -plot.seed %d .", seed)
	chance := rand.New(rand.NewPCG(seed, 1))
	refused := refusal(450, "4.7.1 Too much mail", smtpretry.StageMail)
	drawn := 0
	for range 30 {
		synctest.Test(t, func(t *testing.T) {
			limiter := smtpretry.NewLimiter(smtpretry.Limit{})
			rate := []smtpretry.Rate{0, smtpretry.PerHour(7), smtpretry.PerSecond(0.3), smtpretry.PerSecond(5), smtpretry.PerSecond(1e6)}[chance.IntN(5)]
			if err := limiter.SetLimit("a.example", smtpretry.Limit{Rate: rate}); err != nil {
				t.Fatal(err)
			}
			page := &statuspage.Handler{Limiter: limiter}
			for range chance.IntN(400) {
				for range chance.IntN(1 + chance.IntN(40)) {
					if chance.IntN(3) == 0 {
						tell(page, "a.example", refused)
					} else {
						tell(page, "a.example", smtpretry.Verdict{})
					}
				}
				time.Sleep(time.Duration(chance.IntN(3000)) * time.Millisecond)
			}
			for _, text := range []string{get(t, page, "/"), get(t, page, "/host?name=a.example")} {
				for _, m := range paths.FindAllStringSubmatch(text, -1) {
					if strings.Contains(m[1], "NaN") || strings.Contains(m[1], "Inf") {
						t.Fatalf("at a rate of %v: %s", rate, m[1])
					}
					for _, n := range number.FindAllString(m[1], -1) {
						drawn++
						if f, err := strconv.ParseFloat(n, 64); err != nil || f < 0 || f > 300 {
							t.Fatalf("at a rate of %v: %s in %s", rate, n, m[1])
						}
					}
				}
			}
		})
	}
	if drawn < 1000 {
		t.Errorf("only %d numbers were drawn", drawn)
	}
}

// TestPlotSums: what is drawn is what there was.
func TestPlotSums(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := &statuspage.Handler{}
		v := refusal(450, "4.7.1 Too much mail", smtpretry.StageMail)
		time.Sleep(200 * time.Millisecond)
		for i := range 250 { // seconds
			for range i % 7 {
				tell(page, "a.example", smtpretry.Verdict{})
			}
			if i%10 == 0 {
				tell(page, "a.example", v)
			}
			time.Sleep(time.Second)
		}
		h := getJSON[hostData](t, page, "/host?name=a.example")
		took, refused := 0.0, 0.0
		for _, b := range h.Bins {
			took += b.Accepted * float64(h.BinSeconds)
			refused += b.Refused * float64(h.BinSeconds)
		}
		got := fmt.Sprintf("%.3f %.3f", took, refused)
		if want := fmt.Sprintf("%.3f %.3f", float64(h.Accepted), float64(h.Refused)); got != want || h.Accepted != 750-5 || h.Refused != 25 {
			t.Errorf("drawn %s, counted %s", got, want)
		}
	})
}
