package statuspage

import (
	"cmp"
	"context"
	"time"
)

// A Queue is what the page shows and changes of a durable queue. That of package
// github.com/smtpretry/smtpretry/queue becomes one by its subpackage queuepage.
// Methods are called from several goroutines.
type Queue interface {
	// Count counts what is in the queue, by destination, state and cause.
	Count(ctx context.Context) ([]QueueCount, error)
	// List returns messages that fit, the oldest first, without History.
	List(ctx context.Context, f QueueFilter) ([]QueueMessage, error)
	// Show returns one message with its History; false if there is none.
	Show(ctx context.Context, id int64) (QueueMessage, bool, error)
	// Holds returns the holds in force.
	Holds(ctx context.Context) ([]QueueHold, error)

	// Hold keeps the messages for host back until then; zero: until released.
	Hold(ctx context.Context, host string, until time.Time, reason string) error
	// Release ends a hold, and reports whether there was one.
	Release(ctx context.Context, host string) (bool, error)
	// Retry makes waiting messages that fit due now, and returns how many.
	Retry(ctx context.Context, f QueueFilter) (int, error)
	// Drop takes messages that fit out of the queue, and returns how many.
	Drop(ctx context.Context, f QueueFilter) (int, error)
}

// A QueueFilter selects messages. Zero fields select all; those that are set must
// all fit.
type QueueFilter struct {
	IDs    []int64
	Host   string   // this destination
	Cause  string   // last refused for this cause, in the words of smtpretry.Cause; "-": not refused so far
	From   string   // this sender, exactly
	To     string   // a recipient whose address contains this
	States []string // one of these; empty: "waiting" and "sending"
	After  int64    // with a larger ID
	Limit  int      // at most so many; 0: no limit, or as many as List likes
}

// A QueueCount is how many messages for one destination wait for one reason.
type QueueCount struct {
	Host    string    `json:"host"`
	State   string    `json:"state"`           // "waiting" or "sending"
	Cause   string    `json:"cause,omitempty"` // of the last refusal, in the words of smtpretry.Cause
	N       int       `json:"n"`
	Octets  int64     `json:"octets"`
	Oldest  time.Time `json:"oldest"`         // when the first of them came into the queue
	Next    time.Time `json:"next,omitzero"`  // when the first of them is due
	Held    bool      `json:"held,omitempty"` // the destination is on hold
	Refused string    `json:"refused,omitempty"`
}

// filterCause is the cause by which a QueueFilter selects what is counted.
func (c *QueueCount) filterCause() string { return cmp.Or(c.Cause, "-") }

// A QueueMessage is a message on its way to one destination.
type QueueMessage struct {
	ID         int64            `json:"id"`
	Host       string           `json:"host"`
	State      string           `json:"state"` // "waiting", "sending", or how it ended: "delivered", "failed", "dropped"
	From       string           `json:"from"`
	Recipients []QueueRecipient `json:"recipients"`
	Size       int64            `json:"size"` // octets
	Attempts   int              `json:"attempts"`
	Cause      string           `json:"cause,omitempty"`
	Reply      string           `json:"reply,omitempty"` // the last
	Created    time.Time        `json:"created"`
	Next       time.Time        `json:"next,omitzero"` // zero when it is over
	GiveUp     time.Time        `json:"give_up,omitzero"`
	Finished   time.Time        `json:"finished,omitzero"`
	History    []QueueEvent     `json:"history,omitempty"` // oldest first
}

// A QueueRecipient is one recipient of a message.
type QueueRecipient struct {
	Address string    `json:"address"`
	State   string    `json:"state"` // in the words of smtpretry.State, or "failed"
	Next    time.Time `json:"next,omitzero"`
	Reply   string    `json:"reply,omitempty"`  // what its last attempt met
	Advice  string    `json:"advice,omitempty"` // what to do about that
}

// A QueueEvent is one thing that happened to a message.
type QueueEvent struct {
	Time  time.Time     `json:"time"`
	Took  time.Duration `json:"took,omitempty"` // in nanoseconds, as encoding/json has it
	Addr  string        `json:"addr,omitempty"` // of the server
	Stage string        `json:"stage,omitempty"`
	Code  int           `json:"code,omitempty"`
	Cause string        `json:"cause,omitempty"`
	Text  string        `json:"text"`
	Next  time.Time     `json:"next,omitzero"`
}

// A QueueHold keeps the messages for one destination back.
type QueueHold struct {
	Host    string    `json:"host"`
	Until   time.Time `json:"until,omitzero"` // zero: until it is released
	Reason  string    `json:"reason,omitempty"`
	Created time.Time `json:"created"`
}
