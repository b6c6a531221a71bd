package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/smtpretry/smtpretry"
)

// A State is where an entry of the queue stands.
type State uint8

// Where an entry can stand.
const (
	Waiting   State = iota // for its time, a place, or the end of a hold
	Sending                // claimed by a process: about to be sent, or being sent
	Delivered              // accepted for all recipients
	Failed                 // over, and at least one recipient has not got it
	Dropped                // taken out of the queue by hand
)

var stateWords = [...]string{"waiting", "sending", "delivered", "failed", "dropped"}

// String returns the state as one lower-case word.
func (s State) String() string {
	if int(s) < len(stateWords) {
		return stateWords[s]
	}
	return fmt.Sprintf("state(%d)", s)
}

// MarshalText returns the word of [State.String].
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word of [State.String].
func (s *State) UnmarshalText(b []byte) error {
	for i, w := range stateWords {
		if w == string(b) {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("queue: no state is called %q", b)
}

// isOver says whether nothing more is to be done.
func (s State) isOver() bool { return s > Sending }

// An Entry is one message on its way to one destination, as it stood when it was
// looked at.
type Entry struct {
	ID         int64         `json:"id"`              // also that of River's job
	First      int64         `json:"first"`           // the message's first entry: those of one message to several destinations share it
	Host       string        `json:"host"`            // the destination, as Config.Route named it
	State      State         `json:"state"`           // where it stands
	Priority   int           `json:"priority"`        // 1 to 4
	From       string        `json:"from"`            // envelope sender; empty for the null sender
	Recipients []Recipient   `json:"recipients"`      // in the message's order
	Size       int64         `json:"size"`            // octets of the body
	Attempts   int           `json:"attempts"`        // how many counted
	Cause      string        `json:"cause,omitempty"` // of the last refusal, in the words of smtpretry.Cause; empty if there was none
	Reply      string        `json:"reply,omitempty"` // the last refusal, or the server's words to the last acceptance, in one line
	Created    time.Time     `json:"created"`         // when it was accepted into the queue
	Next       time.Time     `json:"next,omitzero"`   // when it may be tried next, if nothing holds it; zero when it is over
	GiveUp     time.Time     `json:"give_up"`         // when it fails, if it has not been delivered
	Finished   time.Time     `json:"finished,omitzero"`
	History    []HistoryLine `json:"history,omitempty"` // what happened, oldest first, the latest 50; an attempt that delivered all is not in it
}

// A Recipient is one recipient of an [Entry].
type Recipient struct {
	Address string            `json:"address"`
	State   smtpretry.State   `json:"state"`            // what became of it so far
	Failed  bool              `json:"failed,omitempty"` // it is over, and not accepted
	Next    time.Time         `json:"next,omitzero"`    // when it may be tried next
	Verdict smtpretry.Verdict `json:"verdict,omitzero"` // what its last attempt met; zero when accepted, or never offered
}

// A HistoryLine is one thing that happened to an [Entry].
type HistoryLine struct {
	Time  time.Time     `json:"time"`
	Took  time.Duration `json:"took,omitempty"`  // of an attempt
	Addr  string        `json:"addr,omitempty"`  // the server's network address, if known
	Stage string        `json:"stage,omitempty"` // how far an attempt got
	Code  int           `json:"code,omitempty"`  // the reply that decided
	Cause string        `json:"cause,omitempty"`
	Text  string        `json:"text"`          // what happened, or what the server said
	Next  time.Time     `json:"next,omitzero"` // when it was to be tried again
}

// mostHistory is how many lines are kept.
const mostHistory = 50

// A recipient is one as the table has it. The names are short because there may
// be thousands of them in a row.
type recipient struct {
	Addr    string             `json:"a"`
	State   smtpretry.State    `json:"s,omitzero"`
	Failed  bool               `json:"f,omitempty"`
	Tries   int                `json:"n,omitempty"`
	Next    int64              `json:"t,omitempty"`
	Verdict *smtpretry.Verdict `json:"v,omitempty"`
	Options *smtp.RcptOptions  `json:"o,omitempty"`
}

func (r *recipient) isAccepted() bool { return r.State == smtpretry.Accepted }

// isOpen says whether it is still to be tried.
func (r *recipient) isOpen() bool { return !r.Failed && r.State != smtpretry.Accepted }

func (r *recipient) accept() {
	r.State, r.Failed, r.Next, r.Verdict = smtpretry.Accepted, false, 0, nil
}

// mailOptions are what goes with MAIL, as the table has it.
type mailOptions struct {
	Mail  *smtp.MailOptions `json:"mail,omitempty"`
	Delay int64             `json:"delay,omitempty"` // when to warn of a delay, if that was asked for
}

// A mail is one row of {mail}.
type mail struct {
	id, body, first int64
	state           State
	priority        int
	attempts        int
	size            int64
	due, until      int64
	alarm           int64 // when something is to be said of it, whatever else: a delay, or that its time is over
	created         int64
	finished        int64
	host, node      string
	sender          string
	cause, reply    string
	options         mailOptions
	rcpts           []recipient
	history         []HistoryLine
}

// columns of a mail, in the order of its scan.
const columns = "id, body_id, first_id, state, priority, attempts, size, due, until_at, alarm, created, finished, " +
	"host, node, sender, cause, reply, options, rcpts, history"

// scan reads a row of columns, and what follows them into more.
func (m *mail) scan(r rows, more ...any) error {
	var options, rcpts, history string
	dest := append([]any{&m.id, &m.body, &m.first, &m.state, &m.priority, &m.attempts, &m.size, &m.due, &m.until, &m.alarm,
		&m.created, &m.finished, &m.host, &m.node, &m.sender, &m.cause, &m.reply, &options, &rcpts, &history}, more...)
	if err := r.Scan(dest...); err != nil {
		return err
	}
	return errors.Join(unmarshal(options, &m.options), unmarshal(rcpts, &m.rcpts), unmarshal(history, &m.history))
}

// remember adds a line to the history.
func (m *mail) remember(line HistoryLine) {
	m.history = append(m.history, line)
	if over := len(m.history) - mostHistory; over > 0 {
		m.history = m.history[over:]
	}
}

// open counts the recipients that are still to be tried, and says when the next
// is due.
func (m *mail) open() (n int, next int64) {
	for i := range m.rcpts {
		if r := &m.rcpts[i]; r.isOpen() {
			if n == 0 || r.Next < next {
				next = r.Next
			}
			n++
		}
	}
	return n, next
}

// entry is the mail as the user sees it.
func (m *mail) entry() Entry {
	e := Entry{ID: m.id, First: m.first, Host: m.host, State: m.state, Priority: m.priority, From: m.sender, Size: m.size,
		Attempts: m.attempts, Cause: m.cause, Reply: m.reply, Created: unstamp(m.created), GiveUp: unstamp(m.until),
		Finished: unstamp(m.finished), History: m.history, Recipients: make([]Recipient, len(m.rcpts))}
	if !m.state.isOver() {
		e.Next = unstamp(max(m.due, m.created))
	}
	for i := range m.rcpts {
		e.Recipients[i] = m.recipient(i)
	}
	return e
}

func (m *mail) recipient(i int) Recipient {
	r := &m.rcpts[i]
	out := Recipient{Address: r.Addr, State: r.State, Failed: r.Failed}
	switch {
	case m.state == Delivered:
		out.State = smtpretry.Accepted // not written for each, see record.go
	case r.Verdict != nil:
		out.Verdict = *r.Verdict
	}
	if r.isOpen() && !m.state.isOver() {
		out.Next = unstamp(max(r.Next, m.due))
	}
	return out
}

// marshal gives JSON of values that always have one; "" for nothing.
func marshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("queue: %T has no JSON: %v", v, err))
	}
	switch s := string(b); s {
	case "{}", "[]", "null":
		return ""
	default:
		return s
	}
}

func unmarshal(s string, v any) error {
	if s == "" {
		return nil
	}
	return json.Unmarshal([]byte(s), v)
}
