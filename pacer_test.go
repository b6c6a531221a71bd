package smtpretry_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/smtpretry/smtpretry"
)

var (
	pacerSeed  = flag.Uint64("pacer.seed", 0, "replay this seed of the pacer's simulation, with all refusals")
	pacerSeeds = flag.Uint64("pacer.seeds", 15, "how many seeds the pacer's simulation runs of each family")
)

// Times as the pacer takes them.
const (
	aSecond = int64(time.Second)
	aMinute = int64(time.Minute)
	anHour  = int64(time.Hour)
)

// A hidden limit is what a host does not tell: a token bucket if window is 0,
// else n messages in each window, fixed or rolling.
type hiddenLimit struct {
	rate, burst float64 // of a bucket
	window      int64
	rolling     bool
	n           int
	phase       int64 // of a fixed window

	tokens float64 // of the bucket, at
	at     int64
	period int64   // number of the fixed window
	count  int     // in it
	log    []int64 // the last n or fewer, of the rolling window
}

func (h *hiddenLimit) String() string {
	switch {
	case h.window == 0:
		return fmt.Sprintf("bucket of %.3g, %.3g/s", h.burst, h.rate)
	case h.rolling:
		return fmt.Sprintf("%d in any %v", h.n, time.Duration(h.window))
	}
	return fmt.Sprintf("%d each %v", h.n, time.Duration(h.window))
}

func (h *hiddenLimit) perSecond() float64 {
	if h.window == 0 {
		return h.rate
	}
	return float64(h.n) / time.Duration(h.window).Seconds()
}

func (h *hiddenLimit) scale(f float64) {
	h.rate *= f
	h.burst = max(1, h.burst*f)
	h.n = max(1, int(float64(h.n)*f))
}

// take says whether the host takes a message, else in how long it would.
func (h *hiddenLimit) take(now int64) (ok bool, left int64) {
	switch {
	case h.window == 0:
		h.tokens = min(h.burst, h.tokens+h.rate*time.Duration(now-h.at).Seconds())
		h.at = now
		if h.tokens >= 1 {
			h.tokens--
			return true, 0
		}
		return false, int64((1 - h.tokens) / h.rate * float64(aSecond))
	case h.rolling:
		for len(h.log) > 0 && now-h.log[0] >= h.window {
			h.log = h.log[1:]
		}
		if len(h.log) < h.n {
			h.log = append(h.log, now)
			return true, 0
		}
		return false, h.log[len(h.log)-h.n] + h.window - now
	}
	if k := (now + h.phase) / h.window; k != h.period {
		h.period, h.count = k, 0
	}
	if h.count < h.n {
		h.count++
		return true, 0
	}
	return false, (h.period+1)*h.window - h.phase - now
}

// A scene is one sender with endless demand against one hidden limit.
type scene struct {
	limit   hiddenLimit
	latency func() int64
	flight  float64 // messages under way for each one per second
	hints   bool    // replies tell when it would be taken
	lasts   int64
	factors []float64 // of the limit, at the end of each hour
	most    int       // messages; 0: endless
}

// An outcome is what became of a scene.
type outcome struct {
	events   []int // refusals that were not under way at another, for each setting of the limit
	probes   []int // of these, those for having tried whether more is taken
	messages []int // refused in all
	accepted []int // after the first minute of each setting
	late     []int // in the last ten minutes of each setting
	possible []float64
	each10s  int // most events within ten seconds
	more     int // refused, in one go, beyond those under way at the first refusal
	sent     int
	end      int64
	log      []string
}

func (s *scene) play() outcome {
	settings := len(s.factors) + 1
	o := outcome{
		events: make([]int, settings), probes: make([]int, settings), messages: make([]int, settings),
		accepted: make([]int, settings), late: make([]int, settings), possible: make([]float64, settings),
	}
	type message struct {
		began, replied, left int64
		ok, bound            bool
	}
	var under []message
	var events []int64
	p := smtpretry.NewPacer()
	now, pause, reached, replied := int64(1), int64(0), int64(0), int64(0)
	row, setting, inEvent := 0, 0, 0
	length := s.lasts / int64(settings)
	o.possible[0] = s.limit.perSecond()
	for {
		at := max(p.Next(), pause, now)
		room := max(1, min(o.sent/3, int(p.Rate()*s.flight)+1)) // connections come one by one
		if len(under) >= room || row > 0 && len(under) > 0 {
			at = math.MaxInt64
		}
		if len(under) > 0 && under[0].replied <= at {
			m := under[0]
			under = under[1:]
			now = m.replied
			if m.ok {
				row = 0
				p.Accept(m.bound, now)
				o.sent++
				if in := now - int64(setting)*length; in > aMinute {
					o.accepted[setting]++
					if in > length-10*aMinute {
						o.late[setting]++
					}
				}
				if o.sent == s.most {
					break
				}
				continue
			}
			hint := int64(0)
			if s.hints {
				hint = (m.left/aSecond + 1) * aSecond
			}
			o.messages[setting]++
			inEvent++
			first := m.began >= p.Mark()
			if first {
				row++
				inEvent = -len(under)
				events = append(events, now)
				o.events[setting]++
				if p.Probing() {
					o.probes[setting]++
				}
			}
			o.more = max(o.more, inEvent)
			was := p.Rate()
			wait := p.Refuse(m.began, hint, row, now)
			pause = max(pause, now+wait)
			if first && len(o.log) < 100 {
				o.log = append(o.log, fmt.Sprintf("%9.2fs  limit %.3g/s: refused at %.3g, %d in a row; now %.3g after %v",
					time.Duration(now).Seconds(), s.limit.perSecond(), was, row, p.Rate(), time.Duration(wait)))
			}
			continue
		}
		now = at
		if now >= s.lasts {
			break
		}
		if k := int(now / length); k > setting {
			for ; setting < k; setting++ {
				s.limit.scale(s.factors[setting])
				o.possible[setting+1] = s.limit.perSecond()
			}
		}
		takes := s.latency()
		reached = max(reached, now+takes/2)
		replied = max(replied, now+takes)
		m := message{began: now, replied: replied}
		m.bound = p.Start(now)
		m.ok, m.left = s.limit.take(reached)
		under = append(under, m)
	}
	o.end, o.each10s = now, densest(events, 10*aSecond)
	return o
}

// densest returns the most moments that lie within d.
func densest(at []int64, d int64) (most int) {
	for i, j := 0, 0; i < len(at); i++ {
		for at[i]-at[j] > d {
			j++
		}
		most = max(most, i-j+1)
	}
	return most
}

// A limitFamily is a kind of hidden limits and what the pacer achieves with them:
// the share of the possible, and the refusals.
type limitFamily struct {
	name     string
	make     func(s *scene, rng *rand.Rand)
	share    [2]float64 // at least: the worst tenth, and the median
	events   [2]int     // at most, for each setting: the median, and the worst tenth
	messages int        // at most, in the median
}

func logBetween(rng *rand.Rand, from, to float64) float64 {
	return from * math.Exp(rng.Float64()*math.Log(to/from))
}

func someRate(rng *rand.Rand) float64 { return logBetween(rng, 0.5, 100) }

func someBucket(s *scene, rng *rand.Rand) {
	s.limit.rate = someRate(rng)
	s.limit.burst = logBetween(rng, 1, max(30*s.limit.rate, 1.1))
	s.limit.tokens = s.limit.burst
}

// windowsOf returns what makes a window of one of the lengths.
func windowsOf(rolling bool, rates func(*rand.Rand) float64, lengths ...int64) func(*scene, *rand.Rand) {
	return func(s *scene, rng *rand.Rand) {
		s.limit.rolling = rolling
		s.limit.window = lengths[rng.IntN(len(lengths))]
		s.limit.n = max(1, int(rates(rng)*time.Duration(s.limit.window).Seconds()))
		s.limit.phase = rng.Int64N(s.limit.window)
	}
}

// changing adds that the limit changes by the factor when an hour is over.
func changing(factor float64, of func(*scene, *rand.Rand)) func(*scene, *rand.Rand) {
	return func(s *scene, rng *rand.Rand) {
		of(s, rng)
		s.lasts, s.factors = 2*anHour, []float64{factor}
		if s.limit.n == 1 {
			s.limit.n = 2
		}
	}
}

// hourly makes windows of an hour, with as many as mailboxes have.
func hourly(rolling, hints bool) func(*scene, *rand.Rand) {
	few := func(rng *rand.Rand) float64 { return logBetween(rng, 20, 36000) / 3600 }
	of := windowsOf(rolling, few, anHour)
	return func(s *scene, rng *rand.Rand) {
		of(s, rng)
		s.lasts, s.hints = 6*anHour, hints
	}
}

var usualWindows = []int64{aSecond, aMinute}

// Half of a doubled limit is all there is until the pacer has found it.
var pacerFamilies = []limitFamily{
	{"bucket", someBucket, [2]float64{0.80, 0.93}, [2]int{2, 5}, 4},
	{"fixed windows", windowsOf(false, someRate, usualWindows...), [2]float64{0.70, 0.92}, [2]int{2, 4}, 4},
	{"rolling windows", windowsOf(true, someRate, usualWindows...), [2]float64{0.80, 0.93}, [2]int{2, 4}, 4},
	{"bucket, halved", changing(0.5, someBucket), [2]float64{0.75, 0.93}, [2]int{2, 4}, 4},
	{"fixed, halved", changing(0.5, windowsOf(false, someRate, usualWindows...)), [2]float64{0.70, 0.90}, [2]int{2, 4}, 5},
	{"rolling, halved", changing(0.5, windowsOf(true, someRate, usualWindows...)), [2]float64{0.70, 0.89}, [2]int{2, 4}, 4},
	{"bucket, doubled", changing(2, someBucket), [2]float64{0.85, 0.90}, [2]int{2, 4}, 4},
	{"fixed, doubled", changing(2, windowsOf(false, someRate, usualWindows...)), [2]float64{0.75, 0.88}, [2]int{2, 7}, 5},
	{"rolling, doubled", changing(2, windowsOf(true, someRate, usualWindows...)), [2]float64{0.70, 0.90}, [2]int{2, 4}, 4},
	{"windows of ten seconds", windowsOf(true, someRate, 10*aSecond), [2]float64{0.15, 0.16}, [2]int{3, 4}, 8},
	{"fixed hour", hourly(false, false), [2]float64{0.75, 0.93}, [2]int{8, 12}, 20},
	{"rolling hour", hourly(true, false), [2]float64{0.75, 0.93}, [2]int{7, 8}, 15},
	{"fixed hour, hints", hourly(false, true), [2]float64{0.75, 0.93}, [2]int{4, 8}, 10},
	{"rolling hour, hints", hourly(true, true), [2]float64{0.70, 0.93}, [2]int{3, 5}, 10},
}

func sceneOf(f limitFamily, seed uint64) *scene {
	rng := rand.New(rand.NewPCG(seed, uint64(len(f.name))))
	latency := logBetween(rng, 1e6, 100e6)
	s := &scene{flight: latency / 1e9, lasts: anHour}
	s.latency = func() int64 { return int64(latency * (0.9 + 0.2*rng.Float64())) }
	f.make(s, rng)
	return s
}

// TestPacer plays each family and prints what the pacer achieves.
func TestPacer(t *testing.T) {
	if *pacerSeed != 0 {
		for _, f := range pacerFamilies {
			s := sceneOf(f, *pacerSeed)
			t.Logf("%s, seed %d: %v", f.name, *pacerSeed, &s.limit)
			t.Log("\n" + strings.Join(s.play().log, "\n"))
		}
		return
	}
	table := make([]string, len(pacerFamilies))
	t.Run("families", func(t *testing.T) {
		for i, f := range pacerFamilies {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				table[i] = f.test(t)
			})
		}
	})
	t.Logf("seeds 1 to %d; share: least, worst tenth, median; the others: median, worst tenth, most, for each setting of the limit\n%-19s  %-14s %-14s %-8s %-8s %-8s %-7s %s\n%s", *pacerSeeds,
		"hidden limit", "share", "last 10 min", "events", "probes", "messages", "in 10 s", "least share", strings.Join(table, "\n"))
}

func (f limitFamily) test(t *testing.T) string {
	var shares, late []float64
	var events, probes, messages []int
	each10s, worst, worstSeed, least := 0, "", uint64(0), math.Inf(1)
	for seed := uint64(1); seed <= *pacerSeeds; seed++ {
		s := sceneOf(f, seed)
		name := s.limit.String()
		o := s.play()
		accepted, possible := 0.0, 0.0
		length := time.Duration(s.lasts / int64(len(o.events)))
		for i := range o.events {
			accepted += float64(o.accepted[i])
			possible += o.possible[i] * (length - time.Minute).Seconds()
		}
		if s.limit.window == anHour {
			// Most of the first window goes out in the first minute.
			accepted, possible = float64(o.sent), o.possible[0]*time.Duration(s.lasts).Seconds()
		} else {
			last := len(o.events) - 1
			late = append(late, float64(o.late[last])/(o.possible[last]*(10*time.Minute).Seconds()))
		}
		share := accepted / possible
		if share < least {
			worst, worstSeed, least = name, seed, share
		}
		shares = append(shares, share)
		events, probes, messages = append(events, o.events...), append(probes, o.probes...), append(messages, o.messages...)
		each10s = max(each10s, o.each10s)

		replay := fmt.Sprintf("%s; replay with: go test -v -run '^TestPacer$' -pacer.seed %d .", name, seed)
		if o.each10s > 5 {
			t.Errorf("%d refusals within 10 s: %s", o.each10s, replay)
		}
		if o.more > 0 {
			t.Errorf("%d messages went out after a refusal and were refused as well: %s", o.more, replay)
		}
		if n := slices.Max(o.events); n > 15 {
			t.Errorf("%d refusals with one setting of the limit: %s", n, replay)
		}
	}
	slices.Sort(shares)
	slices.Sort(late)
	slices.Sort(events)
	slices.Sort(probes)
	slices.Sort(messages)
	if low, median := shares[len(shares)/10], shares[len(shares)/2]; low < f.share[0] || median < f.share[1] {
		t.Errorf("worst tenth %.2f, median %.3f of the possible, want at least %.2f and %.2f", low, median, f.share[0], f.share[1])
	}
	if median, high := events[len(events)/2], events[len(events)*9/10]; median > f.events[0] || high > f.events[1] {
		t.Errorf("median %d, worst tenth %d refusals, want at most %d and %d", median, high, f.events[0], f.events[1])
	}
	if median := messages[len(messages)/2]; median > f.messages {
		t.Errorf("median %d messages refused, want at most %d", median, f.messages)
	}
	lately := "-"
	if len(late) > 0 {
		lately = fmt.Sprintf("%.2f %.2f %.2f", late[0], late[len(late)/10], late[len(late)/2])
	}
	most := func(l []int) string { return fmt.Sprintf("%d %d %d", l[len(l)/2], l[len(l)*9/10], l[len(l)-1]) }
	return fmt.Sprintf("%-19s  %.2f %.2f %.3f %-14s %-8s %-8s %-8s %-7d %s (seed %d)", f.name,
		shares[0], shares[len(shares)/10], shares[len(shares)/2], lately, most(events), most(probes), most(messages), each10s, worst, worstSeed)
}

// TestPacerColdStart: 2,000 messages to a host that takes 50 a second, of
// which nobody knows. With no refusal at all they would take 39.8 s.
func TestPacerColdStart(t *testing.T) {
	slowest, most := int64(0), 0
	for seed := uint64(1); seed <= *pacerSeeds; seed++ {
		rng := rand.New(rand.NewPCG(seed, 0))
		s := &scene{limit: hiddenLimit{rate: 50, burst: 10, tokens: 10}, flight: 0.02, lasts: anHour, most: 2000}
		s.latency = func() int64 { return 1e6 + rng.Int64N(19e6) }
		o := s.play()
		if o.sent != 2000 || o.end > 45500*int64(time.Millisecond) || o.messages[0] > 4 || o.each10s >= 5 {
			t.Errorf("seed %d: %d sent in %v with %d refusals, want 2000 in 45.5s with at most 4\n%s",
				seed, o.sent, time.Duration(o.end), o.messages[0], strings.Join(o.log, "\n"))
		}
		slowest, most = max(slowest, o.end), max(most, o.messages[0])
	}
	t.Logf("at most %v and %d refusals", time.Duration(slowest), most)
}

// TestPacerFollows: a limit that doubles on the hour is found within five
// minutes, one that is halved at once.
func TestPacerFollows(t *testing.T) {
	for _, tt := range []struct {
		factor, share float64
		events        int
	}{{2, 0.90, 2}, {0.5, 0.93, 2}} {
		s := &scene{limit: hiddenLimit{rate: 20, burst: 20, tokens: 20}, flight: 0.02, lasts: 2 * anHour, factors: []float64{tt.factor}}
		s.latency = func() int64 { return 20 * int64(time.Millisecond) }
		o := s.play()
		share := float64(o.accepted[1]) / (o.possible[1] * (59 * time.Minute).Seconds())
		late := float64(o.late[1]) / (o.possible[1] * (10 * time.Minute).Seconds())
		if share < tt.share || late < 0.9 || o.events[1]-o.probes[1] > tt.events {
			t.Errorf("times %v: %.2f of the limit, %.2f in the last ten minutes, %d refusals but for probes; want %.2f, 0.9 and at most %d\n%s",
				tt.factor, share, late, o.events[1]-o.probes[1], tt.share, tt.events, strings.Join(o.log, "\n"))
		}
	}
}

// TestPacerSize: it is kept for each host, and stored.
func TestPacerSize(t *testing.T) {
	if size := unsafe.Sizeof(smtpretry.Pacer{}); size > 320 {
		t.Errorf("a pacer takes %d bytes, want at most 320", size)
	}
	p := smtpretry.NewPacer()
	now := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		now += aSecond
		p.Accept(p.Start(now), now)
		p.Refuse(now, 0, 1, now)
	}); n > 0 {
		t.Errorf("%v allocations for a message and a refusal, want none", n)
	}
}

// FuzzPacer: whatever comes at whatever times, also at moments without end
// and at a clock that stands, the arithmetic stays within its bounds.
func FuzzPacer(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	rng := rand.New(rand.NewPCG(1, 0))
	for range 50 {
		ops := make([]byte, 900)
		for i := range ops {
			ops[i] = byte(rng.Uint32())
		}
		f.Add(ops)
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		p := smtpretry.NewPacer()
		now, row := int64(0), 0
		number := func() (n int64) {
			var b [8]byte
			ops = ops[copy(b[:], ops):]
			v := binary.LittleEndian.Uint64(b[:])
			return int64(v >> (v % 64)) // of any size, negative too
		}
		for len(ops) > 0 {
			op := ops[0]
			ops = ops[1:]
			switch op % 8 {
			case 0:
				now = min(max(now, now+min(max(number(), 0), smtpretry.PacerNever)), smtpretry.PacerNever)
			case 1, 2:
				now = min(max(now, p.Next()), smtpretry.PacerNever)
			case 3:
				p.SetRate(math.Float64frombits(uint64(number())), now)
			case 4, 5:
				p.Accept(p.Start(now), now)
				row = 0
			default:
				began, hint := now, int64(0)
				if op > 128 {
					began, hint = number(), number()
				}
				row++
				if wait := p.Refuse(began, hint, row, now); wait < 0 || wait > smtpretry.PacerNever {
					t.Fatalf("a pause of %d", wait)
				}
			}
			if !p.Sound() {
				t.Fatalf("out of bounds at %d: %+v", now, p)
			}
		}
	})
}
