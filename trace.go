package smtpretry

import (
	"time"
)

// A Trace is told what happens to messages as it happens. Any field may be
// nil, and a nil *Trace is fine. The functions run on the goroutine of the
// Send they tell of, between two steps of it: they must not block, and they
// must be safe for concurrent use when several messages are sent at once.
type Trace struct {
	Attempted func(Attempt) // an attempt has ended and what comes next is decided
	Waiting   func(Wait)    // a wait begins that is longer than zero
}

// An Attempt is one transaction, or one failure to get that far.
type Attempt struct {
	Number     int         // 1 for the first of its message
	Charged    bool        // counts against Policy.MaxAttempts
	Host       string      // the limiter's key
	Addr       string      // the server's network address; empty when not connected or not known
	Start      time.Time   // when a connection was asked for
	End        time.Time   // when the last reply was read, or the failure seen
	Reused     bool        // over a connection that was kept from an earlier message
	Stage      Stage       // how far it got
	Recipients []Recipient // those it was for, with what it settled for each
	Verdict    Verdict     // the refusal that decides what comes next; zero when all were accepted
	Queued     string      // the server's words to the final dot
	Err        error       // the error behind Verdict; nil when all were accepted
	Next       time.Time   // when the next attempt may start; zero: there is none
}

// A Wait is a pause before an attempt.
type Wait struct {
	Host  string    // the limiter's key
	For   string    // what is waited for: "retry", or the limit that binds
	Until time.Time // when it ends at the earliest; zero if that is not known
}
