package smtpretry_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
)

func TestRateText(t *testing.T) {
	for _, c := range []struct {
		rate smtpretry.Rate
		want string
	}{
		{0, "unlimited"},
		{smtpretry.PerSecond(14), "14/s"},
		{smtpretry.PerSecond(0.1), "6/min"},
		{smtpretry.PerSecond(2.5), "150/min"},
		{smtpretry.PerSecond(1e9), "1000000000/s"},
		{smtpretry.PerMinute(100), "100/min"},
		{smtpretry.PerMinute(60), "1/s"},
		{smtpretry.PerHour(500), "500/h"},
		{smtpretry.PerDay(2000), "2000/day"},
		{smtpretry.PerDay(0.5), "5.787037037037037e-06/s"},
		{smtpretry.PerSecond(math.Pi), "3.141592653589793/s"},
	} {
		got := c.rate.String()
		if got != c.want {
			t.Errorf("Rate(%v) = %q, want %q", float64(c.rate), got, c.want)
		}
		var back smtpretry.Rate
		if err := back.UnmarshalText([]byte(got)); err != nil || back != c.rate {
			t.Errorf("%q reads back as %v, %v; want %v", got, float64(back), err, float64(c.rate))
		}
	}
}

func TestRateTextRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	units := []func(float64) smtpretry.Rate{smtpretry.PerSecond, smtpretry.PerMinute, smtpretry.PerHour, smtpretry.PerDay}
	for range 100_000 {
		n := math.Exp(rng.Float64()*30 - 10)
		if rng.IntN(2) == 0 {
			n = math.Ceil(n)
		}
		want := units[rng.IntN(len(units))](n)
		text, err := json.Marshal(want)
		if err != nil {
			continue // slower than any limit may be
		}
		var got smtpretry.Rate
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Fatalf("Rate(%v) is written as %s, which reads back as %v, %v", float64(want), text, float64(got), err)
		}
	}
}

func TestRateTextRefused(t *testing.T) {
	for _, text := range []string{"", "14", "14/", "/s", "0/s", "-1/s", "NaN/s", "Inf/s", "14/week", "14 /s", "x/s", "1e-30/s", "Unlimited", "14/s/s"} {
		rate := smtpretry.PerSecond(7)
		if err := rate.UnmarshalText([]byte(text)); err == nil || rate != 7 {
			t.Errorf("%q is read as %v, want an error and the rate left alone", text, rate)
		}
	}
	for _, rate := range []smtpretry.Rate{-1, smtpretry.Rate(math.NaN()), smtpretry.Rate(math.Inf(1)), 1e-30} {
		if text, err := rate.MarshalText(); err == nil {
			t.Errorf("Rate(%v) is written as %q, want an error", float64(rate), text)
		}
		_ = rate.String() // anything, but no panic
	}
}

func TestQuotaText(t *testing.T) {
	for _, c := range []struct {
		quota smtpretry.Quota
		want  string
	}{
		{smtpretry.Quota{N: 2000, Per: 24 * time.Hour}, "2000 per 24h"},
		{smtpretry.Quota{N: 30, Per: time.Minute}, "30 per 1m"},
		{smtpretry.Quota{N: 30, Per: 90 * time.Minute}, "30 per 1h30m"},
		{smtpretry.Quota{N: 5, Per: 10 * time.Second}, "5 per 10s"},
	} {
		if got := c.quota.String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestLimitValidate(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		lim  smtpretry.Limit
		want []string // fields
	}{
		{smtpretry.Limit{}, nil},
		{smtpretry.Limit{
			Rate: 14, Burst: 14, Recipients: 100, Quotas: []smtpretry.Quota{{N: 1, Per: day}},
			RecipientQuotas: []smtpretry.Quota{{N: 1, Per: time.Millisecond}}, NewConns: 1, MaxConns: 1, PerConn: 1, PerMessage: 1,
		}, nil},
		{smtpretry.Limit{Rate: -1}, []string{"Rate"}},
		{smtpretry.Limit{Rate: smtpretry.Rate(math.NaN())}, []string{"Rate"}},
		{smtpretry.Limit{Rate: smtpretry.Rate(math.Inf(1))}, []string{"Rate"}},
		{smtpretry.Limit{Rate: 1e-12}, []string{"Rate"}},
		{smtpretry.Limit{Rate: 1, Burst: -1}, []string{"Burst"}},
		{smtpretry.Limit{Burst: 5}, []string{"Burst"}},
		{smtpretry.Limit{Burst: 5, Recipients: 1}, nil},
		{smtpretry.Limit{Quotas: []smtpretry.Quota{{N: 1, Per: day}, {N: 0, Per: day}}}, []string{"Quotas[1].N"}},
		{smtpretry.Limit{RecipientQuotas: []smtpretry.Quota{{N: -3, Per: 0}}}, []string{"RecipientQuotas[0].N", "RecipientQuotas[0].Per"}},
		{smtpretry.Limit{Recipients: -1, NewConns: -1, MaxConns: -1, PerConn: -1, PerMessage: -1},
			[]string{"Recipients", "NewConns", "MaxConns", "PerConn", "PerMessage"}},
	} {
		err := c.lim.Validate()
		var got []string
		if list, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range list.Unwrap() {
				var invalid *smtpretry.InvalidLimitError
				if !errors.As(e, &invalid) || invalid.Reason == "" || !strings.Contains(e.Error(), invalid.Field) {
					t.Errorf("%+v: %v is not an InvalidLimitError with a field and a reason", c.lim, e)
					continue
				}
				got = append(got, invalid.Field)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: invalid fields %v, want %v", c.lim, got, c.want)
		}
	}
}

// TestInvalidLimit holds that a limit which is not understood never turns
// into no limit.
func TestInvalidLimit(t *testing.T) {
	var invalid *smtpretry.InvalidLimitError
	l := smtpretry.NewLimiter(smtpretry.Limit{Rate: -1})
	if g, err := l.Join("host.example", 1).Acquire(t.Context(), time.Now(), 1, nil); !errors.As(err, &invalid) || g != nil {
		t.Errorf("with an invalid default: got %v, %v; want an InvalidLimitError", g, err)
	}
	l = smtpretry.NewLimiter(smtpretry.Limit{})
	if err := l.SetLimit("host.example", smtpretry.Limit{Rate: 3}); err != nil {
		t.Fatal(err)
	}
	if err := l.SetLimit("host.example", smtpretry.Limit{Rate: -3}); !errors.As(err, &invalid) {
		t.Errorf("SetLimit: got %v, want an InvalidLimitError", err)
	}
	if got := l.Explain("host.example").Limit.Rate; got != 3 {
		t.Errorf("after a refused SetLimit: rate %v, want 3/s as before", got)
	}
}

// TestRoughly: a learned rate changes its unit only with its magnitude.
func TestRoughly(t *testing.T) {
	for r, want := range map[smtpretry.Rate]string{
		2958. / 60: "49.3/s", 49.27: "49.3/s", 2: "2/s", 1: "1/s", 0.99999: "1/s", 1234: "1230/s",
		0.5: "30/min", 0.123: "7.38/min", 1. / 60: "1/min", 1. / 3600: "1/h", 0.000278: "1/h", 0.01: "36/h",
	} {
		if got := r.Roughly(); got != want {
			t.Errorf("%v: %s, want %s", float64(r), got, want)
		}
	}
}
