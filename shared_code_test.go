package smtpretry

import (
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

// scatter sets everything in v, also what is not exported, by chance.
func scatter(rng *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Field(i)
			scatter(rng, reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem())
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+rng.IntN(3), 3))
		for i := range v.Len() {
			scatter(rng, v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			scatter(rng, v.Index(i))
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("%x", rng.Uint64()))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(1 + rng.Float64())
	case reflect.Uint8:
		v.SetUint(1 + rng.Uint64N(200))
	case reflect.Uint64:
		v.SetUint(1 + rng.Uint64N(1<<62))
	case reflect.Int, reflect.Int64:
		v.SetInt(1 + rng.Int64N(1<<59))
	default:
		panic("scatter: " + v.Kind().String())
	}
}

// filled returns a sharedHost in which nothing is zero, but for what is held and
// open: that is in the shares.
func filled(rng *rand.Rand) sharedHost {
	var s sharedHost
	scatter(rng, reflect.ValueOf(&s).Elem())
	s.limit.Quotas, s.limit.RecipientQuotas = s.limit.Quotas[:1:1], s.limit.RecipientQuotas[:1:1]
	s.state.quotas, s.state.rcptQuotas = s.state.quotas[:1:1], s.state.rcptQuotas[:1:1]
	s.limit.Burst, s.limit.PerMessage = 3, 4
	s.seen, s.skew = 1<<50, 1<<40
	for i := range s.nodes {
		s.nodes[i].part /= 4
	}
	s.state.setShare(share{})
	return s
}

// TestSharedCode: what is stored comes back as it was, every part of it, whatever
// clock the process that reads it has.
func TestSharedCode(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 0))
		want := filled(rng)
		shift := rng.Int64N(1<<45) - 1<<44
		b := want.encode(shift)
		stored := want.seen - shift - want.skew + 1000 // a microsecond later
		got, again, err := decodeShared(b, stored, stored+want.skew+shift)
		if err != nil || again != shift || !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: shift %d, %v\n%+v\nwant, at %d,\n%+v", seed, again, err, got, shift, want)
		}
		other, _, err := decodeShared(b, stored, stored+want.skew)
		if err != nil || other.state.msgs.full != want.state.msgs.full-shift {
			t.Fatalf("seed %d: on the store's clock the bucket is full at %d (%v), want %d", seed, other.state.msgs.full, err, want.state.msgs.full-shift)
		}
	}
}

// A store's clock that goes back does not make time go back, nor stand still.
func TestSharedClockBack(t *testing.T) {
	var s sharedHost
	s.seen = 5_000
	now := int64(1_000_000)
	b := s.encode(0)
	for i, stored := range []int64{4_000, 4_010, 1_000, 1_500, 10_000} {
		got, shift, err := decodeShared(b, stored, now)
		if err != nil {
			t.Fatal(err)
		}
		if passed := now - got.seen; passed < 0 || i > 0 && i != 2 && passed == 0 {
			t.Errorf("at %d of the store's clock, %d have passed since it was last seen", stored, passed)
		}
		got.seen = now
		b = got.encode(shift)
	}
}

// Whatever is stored, reading it neither panics nor takes much memory.
func FuzzSharedCode(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	s := filled(rng)
	f.Add(s.encode(0))
	f.Add([]byte{2})
	f.Add([]byte(""))
	f.Fuzz(func(_ *testing.T, b []byte) {
		s, _, err := decodeShared(b, 0, 0)
		if err != nil {
			return
		}
		q := sharedRequest{node: "n", number: 1, lease: 1, missed: true, want: &want{any: true, rcpts: 1, dial: true}}
		for _, v := range []Verdict{{}, {Class: Temporary, Cause: CauseRateLimit, Scope: ScopeHost}, {Class: Temporary, Cause: CauseConnectionLimit, Scope: ScopeHost},
			{Class: Temporary, Cause: CauseOverload, Scope: ScopeHost}, {Class: Temporary, Cause: CauseReputation, Scope: ScopeHost}} {
			q.events = append(q.events, event{kind: eventReported, from: s.seen, at: s.seen + 1, what: report{verdict: v, accepted: v.Class == 0}})
		}
		for kind := eventAlone; kind < eventReported; kind++ {
			q.events = append(q.events, event{kind: kind, msgs: 1, rcpts: 1})
		}
		s.serve(&q, s.seen+1)
		limits := s.bounds()
		s.state.charge(&limits, 1, 1, s.seen+2)
	})
}

// TestSharedVersion fails when what is stored has changed: processes of two
// versions would misunderstand each other.
func TestSharedVersion(t *testing.T) {
	var b strings.Builder
	describe(&b, reflect.TypeFor[sharedHost]())
	const version, sum = 1, 0xb3893aad
	if got := crc32.ChecksumIEEE([]byte(b.String())); sharedVersion != version || got != sum {
		t.Errorf("what is stored is now %#x, version %d: raise sharedVersion, and change both here\n%s", got, sharedVersion, b.String())
	}
	if _, _, err := decodeShared([]byte{4}, 0, 0); err != errSharedVersion {
		t.Errorf("a version that is not known: %v", err)
	}
}

func describe(b *strings.Builder, t reflect.Type) {
	switch t.Kind() {
	case reflect.Struct:
		b.WriteString("{")
		for i := range t.NumField() {
			b.WriteString(t.Field(i).Name + " ")
			describe(b, t.Field(i).Type)
			b.WriteString("; ")
		}
		b.WriteString("}")
	case reflect.Slice, reflect.Array:
		b.WriteString("[]")
		describe(b, t.Elem())
	default:
		b.WriteString(t.Kind().String())
	}
}

// TestSharedHostile: what is stored and cannot be is refused, rather than met later
// by an arithmetic that does not expect it.
func TestSharedHostile(t *testing.T) {
	for name, spoil := range map[string]func(*sharedHost){
		"a process's quota of no time": func(s *sharedHost) { s.nodes[0].own.Quotas = []Quota{{N: 1000, Per: 1}} },
		"a learned quota of no time":   func(s *sharedHost) { s.state.learned.quota = []Quota{{N: 1000, Per: 1}} },
		"a pause's row":                func(s *sharedHost) { s.state.pause.row = -1 },
		"a ceiling's row":              func(s *sharedHost) { s.state.learned.conns.row = -1 },
		"tries in vain":                func(s *sharedHost) { s.state.learned.rate.vain = -1 },
		"a pace":                       func(s *sharedHost) { s.state.learned.rate.pace.every = -1 },
		"a part":                       func(s *sharedHost) { s.nodes[0].part = -1 },
		"a part that is no number":     func(s *sharedHost) { s.nodes[0].part = math.NaN() },
	} {
		s := filled(rand.New(rand.NewPCG(1, 1)))
		if _, _, err := decodeShared(s.encode(0), s.seen, s.seen); err != nil {
			t.Fatal(err)
		}
		spoil(&s)
		if _, _, err := decodeShared(s.encode(0), s.seen, s.seen); err != errSharedDamaged {
			t.Errorf("%s: %v, want that it is damaged", name, err)
		}
	}
}

// TestSharedOverflow: of what a store does not hear for long, messages are counted
// all the same.
func TestSharedOverflow(t *testing.T) {
	h := &host{limiter: new(Limiter), remote: &remote{talking: true}}
	h.limiter.init()
	h.tell(event{kind: eventCharged, msgs: 1, rcpts: 2})
	for range mostEvents {
		h.tell(event{kind: eventReported})
	}
	if r := h.remote; len(r.events) != mostEvents || r.first != 1 || r.lone.msgs != 1 || r.lone.rcpts != 2 {
		t.Errorf("%d events from %d on, and %+v counted apart", len(r.events), r.first, r.lone)
	}
}
