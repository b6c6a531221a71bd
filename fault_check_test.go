package smtpretry_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// A tally counts what went wrong in many runs, by what was promised.
type tally struct {
	mu     sync.Mutex
	cells  int
	runs   int
	wrong  [kinds]int
	latest time.Duration // the worst lateness
}

// A wrong is something that was promised not to happen.
type wrong int

const (
	truncated  wrong = iota // a body that nobody sent, or half of one, was accepted
	duplicated              // and was not in doubt before
	leaked                  // a recipient got another message
	miscounted              // an outcome is not what the server knows
	late                    // Send outlived its context
	lingering               // a goroutine
	unclosed                // a socket
	unexpected              // not what the cell is to come to
	kinds
)

var wrongWords = [kinds]string{"truncated, empty or foreign messages accepted", "duplicates", "leaked recipients",
	"false outcomes", "late sends (more than 100 ms after their context)", "goroutines left", "sockets left", "other deviations"}

// A complaint is one of them.
type complaint struct {
	about wrong
	n     int
	text  string
}

func (t *tally) cell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cells++
}

func (t *tally) add(r *record, all []complaint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs++
	t.latest = max(t.latest, r.late)
	for _, c := range all {
		t.wrong[c.about] += c.n
	}
}

func (t *tally) String() string {
	s := fmt.Sprintf("%d cells, %d runs", t.cells, t.runs)
	for w, n := range t.wrong {
		s += fmt.Sprintf("; %s: %d", wrongWords[w], n)
		if wrong(w) == late {
			s += fmt.Sprintf(" (worst lateness %v)", t.latest)
		}
	}
	return s
}

// A critic gathers complaints.
type critic struct{ all []complaint }

func (c *critic) say(about wrong, n int, format string, args ...any) {
	c.all = append(c.all, complaint{about, n, fmt.Sprintf(format, args...)})
}

// promises finds what no fault whatever may lead to.
func (r *record) promises() []complaint {
	var c critic
	copies := map[string]int{} // by recipient
	for _, m := range r.held {
		i := slices.IndexFunc(r.sent, func(p parcel) bool { return p.body == string(m.Body) })
		if i < 0 || m.Bare {
			c.say(truncated, 1, "the server holds %d octets that nobody sent, for %q", len(m.Body), m.Addrs())
		}
		for _, to := range m.Addrs() {
			copies[to]++
			if i < 0 || !slices.Contains(r.sent[i].to, to) {
				c.say(leaked, 1, "%s holds a message that is not for it", to)
			}
		}
	}
	for _, p := range r.sent {
		if p.res == nil || len(p.res.Recipients) != len(p.to) {
			c.say(miscounted, 1, "%s: no result for each of %q", p.name, p.to)
			continue
		}
		for i, to := range p.to {
			state, n := p.res.Recipients[i].State, copies[to]
			if most := 1 + p.doubts(to, r.retry); n > most {
				c.say(duplicated, n-most, "%s holds %d copies, at most %d are allowed", to, n, most)
			}
			if state == smtpretry.Accepted && n == 0 || n > 0 && state != smtpretry.Accepted && state != smtpretry.InDoubt {
				c.say(miscounted, 1, "%s is %v and holds %d copies", to, state, n)
			}
		}
		if all := !slices.ContainsFunc(p.res.Recipients, notAccepted); all != (p.err == nil) {
			c.say(miscounted, 1, "%s: %v, and the error is %v", p.name, p.res, p.err)
		}
	}
	if r.late > 100*time.Millisecond {
		c.say(late, 1, "Send returned %v after its context had ended", r.late)
	}
	if n := len(r.goroutines); n > 0 {
		c.say(lingering, n, "%d goroutines are left:\n%s", n, strings.Join(r.goroutines, "\n"))
	}
	if r.sockets > 0 {
		c.say(unclosed, r.sockets, "%d sockets are open", r.sockets)
	}
	return c.all
}

func notAccepted(rc smtpretry.Recipient) bool { return rc.State != smtpretry.Accepted }

// doubts counts the attempts that left a recipient in doubt and were, with
// Policy.RetryInDoubt, not the last.
func (p *parcel) doubts(to string, retry bool) (n int) {
	if !retry || len(p.res.Attempts) == 0 {
		return 0
	}
	for _, a := range p.res.Attempts[:len(p.res.Attempts)-1] {
		for _, rc := range a.Recipients {
			if rc.Address == to && rc.Verdict.InDoubt {
				n++
			}
		}
	}
	return n
}

// against compares the record with what is to become of the message.
func (r *record) against(f fate) []complaint {
	var c critic
	p := r.this()
	got := states(p.res)
	if !slices.Equal(got, f.states) {
		c.say(unexpected, 1, "the recipients are %v, want %v", got, f.states)
	}
	for _, reason := range reasons {
		if want := slices.Contains(f.reasons, reason); errors.Is(p.err, reason) != want {
			c.say(unexpected, 1, "errors.Is(%v, %v) is %v", p.err, reason, !want)
		}
	}
	if reply := replyIn(p.err); (reply != nil) != f.reply {
		c.say(unexpected, 1, "the error holds the reply %v, want one: %v", reply, f.reply)
	}
	if n := len(p.res.Attempts); n != f.attempts() {
		c.say(unexpected, 1, "%d attempts, want %d", n, f.attempts())
	}
	if n := charged(p.res); n != f.charged {
		c.say(unexpected, 1, "%d attempts charged, want %d", n, f.charged)
	}
	if r.conns != f.conns {
		c.say(unexpected, 1, "%d connections, want %d", r.conns, f.conns)
	}
	n := 0
	for i := range min(len(f.waits), len(p.res.Attempts)-1) {
		waited := p.res.Attempts[i+1].Start.Sub(p.res.Attempts[i].End)
		least, most := time.Duration(0), time.Duration(0)
		if f.waits[i] {
			n++
			least, most = waitBefore(n)
		}
		if waited < least || waited > most {
			c.say(unexpected, 1, "waited %v before attempt %d, want between %v and %v", waited, i+2, least, most)
		}
	}
	for i, to := range p.to {
		want := 0
		if f.states[i] == smtpretry.Accepted {
			want++
		}
		if f.doubt && r.keep {
			want++
		}
		if n := r.copies(to); n != want {
			c.say(unexpected, 1, "the server holds %d copies for %s, want %d", n, to, want)
		}
	}
	for _, p := range r.sent {
		want := f.next
		if p.name == "first" {
			want = nil
		}
		if p.name != "this" && !errors.Is(p.err, want) {
			c.say(unexpected, 1, "the %s message: %v, want %v", p.name, p.err, want)
		}
	}
	if r.closing > quitsWithin {
		c.say(unexpected, 1, "Close took %v", r.closing)
	}
	return c.all
}

// quitsWithin bounds the goodbye.
const quitsWithin = 2 * time.Second

func (r *record) copies(to string) (n int) {
	for _, m := range r.held {
		for _, addr := range m.Addrs() {
			if addr == to {
				n++
			}
		}
	}
	return n
}

// afterEnd checks what is promised of a Send whose context ended.
func (r *record) afterEnd() []complaint {
	var c critic
	p := r.this()
	open := slices.ContainsFunc(p.res.Recipients, func(rc smtpretry.Recipient) bool { return rc.State == smtpretry.Deferred })
	refused := errors.Is(p.err, smtpretry.ErrRefused) // before it ended, and go-smtp waited for more
	if open && !refused && (p.over || r.took >= r.ends) && !errors.Is(p.err, r.cause()) {
		c.say(unexpected, 1, "%v does not hold %v", p.err, r.cause())
	}
	for _, next := range r.sent {
		if next.name == "next" && r.canDial() && next.err != nil {
			c.say(unexpected, 1, "the next message: %v", next.err)
		}
	}
	return c.all
}

// report fails the test for each complaint, and adds them up.
func (t *tally) report(tt *testing.T, r *record, all []complaint) {
	tt.Helper()
	t.add(r, all)
	for _, c := range all {
		tt.Errorf("%s (retry %v, keep %v, context %v)", c.text, r.retry, r.keep, r.ends)
	}
	if len(all) > 0 {
		p := r.this()
		tt.Logf("attempts: %+v\nerror: %v\n%s", p.res.Attempts, p.err, r.dialogue)
	}
}

// TestFaultsTeeth: each promise, broken in a record, is noticed and counted.
func TestFaultsTeeth(t *testing.T) {
	good := func() *record {
		c := faultCell{fresh, places[4], faults[0]}
		return &record{meeting: meeting{faultCell: c, ends: time.Second, cancel: true}, sent: []parcel{{
			name: "this", to: []string{"a@example.net"}, body: text,
			res: &smtpretry.Result{
				Recipients: []smtpretry.Recipient{{Address: "a@example.net", State: accepted}},
				Attempts:   []smtpretry.Attempt{{Charged: true}},
			},
		}}, conns: 1, held: []*testserver.Message{{Body: []byte(text), To: []testserver.Recipient{{Addr: "a@example.net"}}}}}
	}
	wants := fate{states: []smtpretry.State{accepted}, charged: 1, conns: 1}
	look := func(r *record) []complaint { return slices.Concat(r.promises(), r.against(wants), r.afterEnd()) }
	if all := look(good()); len(all) > 0 {
		t.Fatalf("of a record in which all is well: %v", all)
	}
	again := func(r *record) { r.held = append(r.held, r.held[0]) }
	for name, test := range map[string]struct {
		spoil func(*record)
		about wrong
	}{
		"half a body":            {func(r *record) { r.held[0].Body = []byte(text[:20]) }, truncated},
		"an empty body":          {func(r *record) { r.held[0].Body = nil }, truncated},
		"a bare CR":              {func(r *record) { r.held[0].Bare = true }, truncated},
		"two copies":             {again, duplicated},
		"two copies, none asked": {func(r *record) { again(r); r.retry = true }, duplicated},
		"another's recipient": {func(r *record) {
			r.held[0].To = append(r.held[0].To, testserver.Recipient{Addr: "b@example.net"})
		}, leaked},
		"accepted, not held":  {func(r *record) { r.held = nil }, miscounted},
		"held, not accepted":  {func(r *record) { r.sent[0].res.Recipients[0].State = deferred }, miscounted},
		"held, rejected":      {func(r *record) { r.sent[0].res.Recipients[0].State = rejected }, miscounted},
		"no error":            {func(r *record) { r.sent[0].res.Recipients[0].State = inDoubt }, miscounted},
		"an error":            {func(r *record) { r.sent[0].err = errCut }, miscounted},
		"no result":           {func(r *record) { r.sent[0].res.Recipients = nil }, miscounted},
		"late":                {func(r *record) { r.late = 101 * time.Millisecond }, late},
		"a goroutine":         {func(r *record) { r.goroutines = []string{"goroutine 1"} }, lingering},
		"a socket":            {func(r *record) { r.sockets = 1 }, unclosed},
		"another attempt":     {func(r *record) { r.sent[0].res.Attempts = make([]smtpretry.Attempt, 2) }, unexpected},
		"not charged":         {func(r *record) { r.sent[0].res.Attempts[0].Charged = false }, unexpected},
		"another connection":  {func(r *record) { r.conns = 2 }, unexpected},
		"another reason":      {func(r *record) { r.sent[0].err = smtpretry.ErrPartial }, unexpected},
		"a reply":             {func(r *record) { r.sent[0].err = &smtp.SMTPError{Code: 450} }, unexpected},
		"a long goodbye":      {func(r *record) { r.closing = 3 * time.Second }, unexpected},
		"the next one failed": {func(r *record) { r.sent = append(r.sent, parcel{name: "next", res: &smtpretry.Result{}, err: errCut}) }, unexpected},
		"no cause": {func(r *record) {
			r.sent[0].res.Recipients[0].State, r.sent[0].over, r.sent[0].err, r.held = deferred, true, smtpretry.ErrExhausted, nil
		}, unexpected},
	} {
		r, sum := good(), new(tally)
		test.spoil(r)
		sum.add(r, look(r))
		if sum.wrong[test.about] == 0 {
			t.Errorf("%s: not noticed: %v", name, sum)
		}
	}
}
