package smtpretry_test

import (
	"slices"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// A fate is what is to become of a message that meets a fault.
type fate struct {
	none    string // why there is no such faultCell
	states  []smtpretry.State
	reasons []error // what errors.Is finds; none: delivered
	reply   bool    // the error holds the server's reply
	waits   []bool  // before each further attempt: is there one?
	charged int     // attempts
	conns   int     // that the server sees
	doubt   bool    // the first attempt was in doubt
	next    error   // what becomes of the next message; nil: delivered
}

func (f fate) attempts() int { return 1 + len(f.waits) }

// expect says what the documentation promises: see doc.go and Policy.
func (c faultCell) expect(retryInDoubt bool) fate {
	if why := c.impossible(); why != "" {
		return fate{none: why}
	}
	f := fate{states: slices.Repeat([]smtpretry.State{smtpretry.Accepted}, c.place.rcpts), charged: 1, conns: 1}
	at, kind := c.stage(), c.fault.kind
	early := at < smtpretry.StageMail // no recipient can be meant
	switch {
	case c.place.stage == testserver.Quit:
	case c.place.stage == testserver.Idle && c.seen() && kind != stalls:
		// What comes unasked is not taken for a reply: the connection is stale.
		f.again(c, "free")
	case at == smtpretry.StageDot && kind == succeeds2: // any 2yz accepts
	case kind == refuses && early:
		f.stop(smtpretry.Deferred, smtpretry.ErrRefused, true)
		f.losing(c)
	case c.fault.name == "garbage" && at == smtpretry.StageGreeting && c.dialled():
		f.stop(smtpretry.Deferred, smtpretry.ErrRefused, false) // no SMTP server
	case kind == refuses:
		f.stop(smtpretry.Rejected, smtpretry.ErrRejected, true)
		f.only(c)
		if c.outOfStep() {
			f.losing(c)
		}
	case kind == tooMany && c.place.nth > 1:
		// The rest, in transactions no larger than the one that was taken; in
		// a group those behind had been asked for already.
		taken, rest := c.place.nth-1, c.place.rcpts-c.place.nth+1
		if c.grouped() {
			rest = 1
		}
		f.waits = make([]bool, (rest+taken-1)/taken)
		f.charged = f.attempts()
	case (kind == putsOff || kind == tooMany) && !early:
		f.waits, f.charged = []bool{true}, 2
		if c.outOfStep() {
			f.again(c, "")
			f.reply = f.reasons != nil
		}
	case c.doubtful(at):
		f.doubt = true
		f.stop(smtpretry.InDoubt, smtpretry.ErrInDoubt, kind == succeeds3)
		f.losing(c)
		switch {
		case retryInDoubt && c.canDial():
			f.again(c, "")
		case retryInDoubt:
			f.reasons = append(f.reasons, smtpretry.ErrNoReconnect)
		}
	case c.free(at):
		f.again(c, "free")
	default:
		f.again(c, "")
	}
	return f
}

// again: the connection is lost, and there is
// another attempt over a new one if there can be one.
func (f *fate) again(c faultCell, how string) {
	if how == "free" {
		f.charged--
	}
	if !c.canDial() {
		replied := c.fault.kind == puts421 || c.fault.kind == putsOff || c.fault.kind == succeeds2 || c.fault.kind == succeeds3
		unread := c.place.big && c.fault.name == "421-close" // behind the broken upload
		f.stop(smtpretry.Deferred, smtpretry.ErrNoReconnect, replied && !unread)
		f.losing(c)
		return
	}
	f.states = slices.Repeat([]smtpretry.State{smtpretry.Accepted}, c.place.rcpts)
	f.reasons, f.reply = nil, false
	f.waits = append(f.waits, how != "free")
	f.charged++
	f.conns++
}

// stop: it ends with the attempts made so far.
func (f *fate) stop(s smtpretry.State, reason error, reply bool) {
	for i := range f.states {
		f.states[i] = s
	}
	f.reasons, f.reply = []error{reason}, reply
}

// only: it concerns the one recipient whose RCPT it is, if any.
func (f *fate) only(c faultCell) {
	if c.place.nth == 0 {
		return
	}
	for i := range f.states {
		if i+1 != c.place.nth {
			f.states[i] = smtpretry.Accepted
		}
	}
	if c.place.rcpts > 1 {
		f.reasons = append(f.reasons, smtpretry.ErrPartial)
	}
}

// losing: the connection is not used again.
func (f *fate) losing(c faultCell) {
	if !c.canDial() {
		f.next = smtpretry.ErrNoReconnect
	}
}

// impossible says why there is no such cell.
func (c faultCell) impossible() string {
	at, kind, wrapped := c.stage(), c.fault.kind, c.way == withoutDial || c.way == redialled
	switch {
	case c.place.stage == testserver.Idle && c.dialled():
		return "nothing has gone over it yet"
	case c.kept() && at < smtpretry.StageMail:
		return "done when it was dialled"
	case wrapped && (at == smtpretry.StageTLS || at == smtpretry.StageAuth):
		return "done before it was wrapped"
	case c.way == ownDial && at == smtpretry.StageTLS:
		return "done by the program's own Dial"
	case kind == tooMany && c.place.stage != testserver.Rcpt:
		return "said to RCPT only"
	case c.place.stage == testserver.Body && kind == succeeds2:
		return "a server that accepts in the middle has accepted"
	}
	return ""
}

// stage is where the client meets it: what comes unasked is met as the reply
// to MAIL, and what comes while a small body is under way as that to its dot.
func (c faultCell) stage() smtpretry.Stage {
	switch {
	case c.place.stage == testserver.Idle, c.place.stage == testserver.Quit:
		return smtpretry.StageMail
	case c.place.stage == testserver.Body && !c.place.big:
		return smtpretry.StageDot
	}
	return position(c.place.stage)
}

func position(s testserver.Stage) smtpretry.Stage {
	var p smtpretry.Stage
	if err := p.UnmarshalText([]byte(s)); err != nil {
		panic(err)
	}
	return p
}

// doubtful says whether the dot has been sent and no clear word has come. With
// a large body that is so when the server reads on.
func (c faultCell) doubtful(at smtpretry.Stage) bool {
	switch c.fault.kind {
	case hangsUp, stalls:
		return at == smtpretry.StageDot
	case confuses:
		return at == smtpretry.StageDot || at == smtpretry.StageBody && c.fault.name != "endless"
	case succeeds3:
		return at == smtpretry.StageDot || at == smtpretry.StageBody
	}
	return false
}

// free says whether it costs nothing: a kept connection that has ended, a 421 on
// one that has delivered, and a group that is not answered where none was before.
func (c faultCell) free(at smtpretry.Stage) bool {
	waited := !c.dialled() && c.way != ownDial || c.second() // the connection did
	switch c.fault.kind {
	case puts421:
		return c.second() || waited && at <= smtpretry.StageMail
	case hangsUp:
		return waited && at <= smtpretry.StageMail || c.firstGroup(at)
	case stalls:
		return c.firstGroup(at)
	}
	return false
}

// firstGroup says whether the server could be one that loses commands.
func (c faultCell) firstGroup(at smtpretry.Stage) bool {
	return c.grouped() && !c.second() && at >= smtpretry.StageMail && at <= smtpretry.StageData
}

// outOfStep says whether a reply came unasked on a socket that cannot be seen,
// and is taken for the reply to MAIL. So is each later one for that to the next
// command, until DATA gets a 250 and the connection is dropped.
func (c faultCell) outOfStep() bool {
	return c.place.stage == testserver.Idle && !c.seen()
}

func (c faultCell) canDial() bool { return c.way != withoutDial }

// waitBefore is how long a wait before the nth further attempt is, by the
// documentation of Backoff: 5 s, doubled, ±50 %.
func waitBefore(n int) (least, most time.Duration) {
	wait := 5 * time.Second << (n - 1)
	return wait / 2, wait * 3 / 2
}
