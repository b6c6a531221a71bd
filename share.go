package smtpretry

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Store keeps what several processes know of their hosts together, so that
// they share their limits: see [Limiter.Share]. It must be safe for concurrent
// use. The modules store/pgstore and store/redisstore have one each.
type Store interface {
	// Update hands what is stored under key, nil if nothing is, and the store's
	// own time to change, and stores what that returns for at least keep: all in
	// one step, with no other Update of the key in between, of whatever process.
	// The time is read in the course of that step. If change returns an error,
	// or with an error of the store's own, nothing may be stored or it is not
	// known whether it was; Update then returns an error that wraps it. Change
	// may be called again when another process was faster, but not after Update has
	// returned; it does not keep stored, and what it returns is not changed later.
	// Update returns soon after ctx has ended: until then nothing else is heard of
	// the store for that host.
	Update(ctx context.Context, key string, change func(stored []byte, now time.Time) (next []byte, keep time.Duration, err error)) error
}

// ShareOptions says how a [Limiter] shares its limits. The zero value is useful.
type ShareOptions struct {
	// Lease is how long the store lets a process keep its connections' slots
	// without being heard of: those of a process that was killed are free after
	// that time, and what else it held after 2 s. 0 is 10 s; at least 1 s.
	Lease time.Duration

	// Alone is the part of each limit that this process keeps to by itself while
	// the store cannot be reached, above 0 and at most 1: with ten processes, at
	// most 0.1. A quota or a number of connections of which that part is less
	// than one lets nothing through; of Burst, and of new connections at once, it is
	// one at least, so that ten processes may start ten. 0: nothing is sent until the
	// store is back.
	Alone float64
}

const defaultLease = 10 * time.Second

// A sharing is how all hosts of a limiter are shared.
type sharing struct {
	store Store
	lease int64
	alone float64
}

// Share lets l share the limits of all its hosts with the other processes that
// use the same store: the guarantee of [Limiter] then holds over all of them, by
// the store's clock. They also share cool-downs and what was learned. Where their
// own limits differ, the strictest of those that are at work is in force. It is
// called before l is given to the first client. An invalid option is a
// [*FieldError].
//
// Each message costs one update of the store, and starts when the store has
// granted it. Connections' slots are leases. When the store cannot be reached,
// messages wait, or this process goes on with the part of the limits that
// [ShareOptions.Alone] states; it is never unlimited, and nothing that was saved
// meanwhile comes at once when the store is back. Nor does it when the store has
// forgotten what it had confirmed, as soon as a process asks that knows better.
// [Limiter.Explain] tells.
//
// Three things are not promised. A process that is suspended between the last look
// at its lease and the next system call can start that one message late. A
// connection with a message under way is not cut: that of a process which cannot
// reach the store may outlive its lease, or be one above its part, until the message
// is through. And what a store forgets in a crash, or a process sends alone that others
// believe dead, is missing from quotas.
func (l *Limiter) Share(store Store, o ShareOptions) error {
	switch {
	case store == nil:
		return &FieldError{Field: "Store", Reason: "is nil"}
	case o.Lease != 0 && (o.Lease < time.Second || o.Lease > time.Hour):
		return &FieldError{Field: "ShareOptions.Lease", Value: o.Lease.String(), Reason: "is not between a second and an hour"}
	case !(o.Alone >= 0 && o.Alone <= 1):
		return &FieldError{Field: "ShareOptions.Alone", Value: fmt.Sprint(o.Alone), Reason: "is not between 0 and 1"}
	}
	l.init()
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		used := len(s.live) > 0
		s.mu.Unlock()
		if used {
			return errors.New("smtpretry: Share: the limiter is in use")
		}
	}
	if o.Lease == 0 {
		o.Lease = defaultLease
	}
	l.sharing = &sharing{store: store, lease: int64(o.Lease), alone: o.Alone}
	l.base = l.base.Add(-longestSaved) // what the others did before us has its time too
	return nil
}
