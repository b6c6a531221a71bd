package queue

import (
	"context"
	"errors"
	"sync"
	"time"
)

// mostIntake is how many messages share a transaction.
const mostIntake = 100

// An intake lets calls of Enqueue at the same time share a transaction: while one
// is under way the next gathers. A call alone goes at once.
type intake struct {
	q    *Queue
	mu   sync.Mutex
	next []*entrant
	busy bool
}

// An entrant is one call of Enqueue.
type entrant struct {
	p    *parcel
	got  Receipt
	err  error
	done chan struct{}
}

func (in *intake) put(ctx context.Context, p *parcel) (Receipt, error) {
	if err := ctx.Err(); err != nil {
		return Receipt{}, context.Cause(ctx)
	}
	en := &entrant{p: p, done: make(chan struct{})}
	in.mu.Lock()
	in.next = append(in.next, en)
	lead := !in.busy
	in.busy = true
	in.mu.Unlock()
	if lead {
		in.run(ctx)
	}
	select {
	case <-en.done:
		return en.got, en.err
	case <-ctx.Done():
		if in.withdraw(en) {
			return Receipt{}, context.Cause(ctx)
		}
		<-en.done
		return en.got, en.err
	}
}

// withdraw takes back a call that is not under way yet.
func (in *intake) withdraw(en *entrant) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i, one := range in.next {
		if one == en {
			in.next = append(in.next[:i], in.next[i+1:]...)
			return true
		}
	}
	return false
}

// run serves the caller's own call, with those that wait already, and leaves the
// rest to a goroutine that ends when nobody waits.
func (in *intake) run(ctx context.Context) {
	in.serve(ctx, in.take())
	in.mu.Lock()
	more := len(in.next) > 0
	in.busy = more
	in.mu.Unlock()
	if more {
		go func() {
			for {
				in.serve(context.WithoutCancel(ctx), in.take())
				in.mu.Lock()
				if len(in.next) == 0 {
					in.busy = false
					in.mu.Unlock()
					return
				}
				in.mu.Unlock()
			}
		}()
	}
}

func (in *intake) take() []*entrant {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := min(len(in.next), mostIntake)
	batch := in.next[:n:n]
	in.next = in.next[n:]
	return batch
}

// serve inserts a batch. If that fails, each is tried alone, so that nobody
// suffers for another's fault, unless the fault is the database's.
func (in *intake) serve(ctx context.Context, batch []*entrant) {
	if len(batch) == 0 {
		return
	}
	if len(batch) > 1 {
		ctx = context.WithoutCancel(ctx) // it is others' too
	}
	defer func() {
		for _, en := range batch {
			close(en.done)
		}
	}()
	err := in.insert(ctx, batch)
	if err == nil || len(batch) == 1 || errors.Is(err, ErrBusy) || errors.Is(err, ErrDiskFull) {
		return
	}
	for _, en := range batch {
		_ = in.insert(ctx, []*entrant{en})
	}
}

func (in *intake) insert(ctx context.Context, batch []*entrant) error {
	ctx, cancel := in.q.bounded(ctx)
	defer cancel()
	parcels := make([]*parcel, len(batch))
	for i, en := range batch {
		parcels[i] = en.p
	}
	var got []Receipt
	err := within(ctx, in.q.e, true, func(tx transaction) (err error) {
		got, err = in.q.insert(ctx, tx, parcels)
		return err
	})
	if err == nil {
		in.q.noted(parcels)
	}
	for i, en := range batch {
		if en.err = err; err == nil {
			en.got = got[i]
		}
	}
	return err
}

// patience is how long a call waits for the database at most. Without a limit, a
// caller that holds the only connection in a transaction of its own would wait
// for itself.
const patience = 30 * time.Second

// bounded gives ctx a deadline.
func (q *Queue) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, patience)
}
