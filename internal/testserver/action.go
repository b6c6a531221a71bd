package testserver

import "time"

// An Action is what a script makes the server do at one point of a session.
// Actions are made by the constructors and refined by their methods, each of
// which returns a changed copy, so one Action can serve many sessions.
//
// A reply counts as what its code says: after a scripted "250" to RCPT the
// recipient is accepted, after "354" to DATA the body is read, after "250" at
// the dot the message is recorded. A 421 alone does not close the connection,
// as some servers do not either; say [Action.ThenClose].
type Action struct {
	text    string // reply, lines separated by "\n"; "" says nothing
	raw     bool   // text goes out as it is
	endless bool   // text is repeated until the client hangs up
	pass    bool   // the server's normal reply instead of text
	keep    bool
	delay   time.Duration
	drip    time.Duration
	atByte  int64
	then    ending
}

// An ending is what happens to the connection after the reply.
type ending uint8

const (
	stayOpen ending = iota
	hangUp
	resetConn
	fallSilent
)

// Reply sends text instead of the normal reply. Lines are separated by "\n"
// and sent exactly as they stand, so a multi-line reply is written out:
// "450-4.2.0 first\n450 4.2.0 second". The code of the last line counts.
func Reply(text string) *Action { return &Action{text: text} }

// Raw sends bytes as they are, with no line end added. They count as no reply.
func Raw(bytes string) *Action { return &Action{text: bytes, raw: true} }

// Endless sends line again and again until the client hangs up.
func Endless(line string) *Action { return &Action{text: line, endless: true, then: hangUp} }

// Close closes the connection without a reply.
func Close() *Action { return &Action{then: hangUp} }

// Reset closes the connection with a TCP RST, without a reply.
func Reset() *Action { return &Action{then: resetConn} }

// Stall says nothing more and waits until the client hangs up. At [Body] the
// server also stops reading, for its idle timeout at most.
func Stall() *Action { return &Action{then: fallSilent} }

// Pass lets the server act as it normally would, limits included. It is for
// the refinements: Pass().After(d), Pass().Drip(d), Pass().ThenClose().
func Pass() *Action { return &Action{pass: true} }

// After waits for d first. At [Idle] d is how long the client must have been
// silent. At [Body], reading pauses for d.
func (a *Action) After(d time.Duration) *Action {
	b := *a
	b.delay = d
	return &b
}

// Drip sends the reply byte by byte, with a pause before each.
func (a *Action) Drip(pause time.Duration) *Action {
	b := *a
	b.drip = pause
	return &b
}

// AtByte is for [Body]: the action comes once n bytes of the body were read;
// 0 is before the first. Unless the connection ends by it, the rest of
// the body is read and thrown away, and the dot gets no reply of its own.
func (a *Action) AtByte(n int64) *Action {
	b := *a
	b.atByte = n
	return &b
}

// Keep is for [Dot]: the message is recorded as accepted, whatever the reply,
// even if there is none.
func (a *Action) Keep() *Action {
	b := *a
	b.keep = true
	return &b
}

// ThenClose closes the connection after the reply.
func (a *Action) ThenClose() *Action { return a.thenEnd(hangUp) }

// ThenReset closes the connection with a TCP RST after the reply.
func (a *Action) ThenReset() *Action { return a.thenEnd(resetConn) }

// ThenStall falls silent after the reply, as [Stall] does.
func (a *Action) ThenStall() *Action { return a.thenEnd(fallSilent) }

func (a *Action) thenEnd(e ending) *Action {
	b := *a
	b.then = e
	return &b
}

// dress gives the normal action a the refinements of the scripted Pass p.
func (a *Action) dress(p *Action) *Action {
	b := *a
	b.delay, b.drip, b.keep = p.delay, p.drip, p.keep
	if p.then != stayOpen {
		b.then = p.then
	}
	return &b
}

// code is the reply code, 0 when there is none.
func (a *Action) code() int {
	if a.raw || a.endless {
		return 0
	}
	line := a.text
	for i := len(line) - 1; i >= 0; i-- {
		if line[i] == '\n' {
			line = line[i+1:]
			break
		}
	}
	code := 0
	for i := range 3 {
		if i >= len(line) || line[i] < '0' || line[i] > '9' {
			return 0
		}
		code = code*10 + int(line[i]-'0')
	}
	return code
}

// positive tells whether the reply's first digit is digit.
func (a *Action) positive(digit int) bool { return a.code()/100 == digit }
