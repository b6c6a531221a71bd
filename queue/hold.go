package queue

import (
	"context"
	"time"
)

// A Hold keeps the messages of one destination back.
type Hold struct {
	Host    string    `json:"host"`
	Until   time.Time `json:"until,omitzero"` // zero: until it is released
	Reason  string    `json:"reason,omitempty"`
	Created time.Time `json:"created"`
}

type hold struct{ until int64 }

// holds says whether the hold is in force.
func (h hold) holds(now time.Time) bool { return h.until == 0 || stamp(now) < h.until }

// Hold keeps the messages to host back until the given time, or until it is
// released if that is zero. Attempts that are under way go on. Messages past
// their give-up time fail all the same. It is in force, in all processes, within
// a second; a hold that exists is replaced.
func (q *Queue) Hold(ctx context.Context, host string, until time.Time, reason string) error {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	err := within(ctx, q.e, true, func(tx transaction) error {
		_, err := tx.exec(ctx, "INSERT INTO {hold} (host, until_at, created, reason) VALUES ($1, $2, $3, $4) "+
			"ON CONFLICT (host) DO UPDATE SET until_at = excluded.until_at, created = excluded.created, reason = excluded.reason",
			host, stamp(until), stamp(time.Now()), clean(reason))
		return err
	})
	if err == nil && q.d != nil {
		q.d.setHold(host, &hold{stamp(until)})
	}
	return err
}

// Release ends a hold. It reports whether there was one.
func (q *Queue) Release(ctx context.Context, host string) (bool, error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	var n int64
	err := within(ctx, q.e, true, func(tx transaction) (err error) {
		n, err = tx.exec(ctx, "DELETE FROM {hold} WHERE host = $1", host)
		return err
	})
	if err == nil && q.d != nil {
		q.d.setHold(host, nil)
	}
	return n > 0, err
}

// Holds lists the holds in force, by host.
func (q *Queue) Holds(ctx context.Context) ([]Hold, error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	list := []Hold{}
	r, err := q.e.reader().query(ctx, "SELECT host, until_at, created, reason FROM {hold} ORDER BY host")
	err = scan(r, err, func(r rows) error {
		var h Hold
		var until, created int64
		if err := r.Scan(&h.Host, &until, &created, &h.Reason); err != nil {
			return err
		}
		h.Until, h.Created = unstamp(until), unstamp(created)
		if (hold{until}).holds(time.Now()) {
			list = append(list, h)
		}
		return nil
	})
	return list, err
}

func (q *Queue) loadHolds(ctx context.Context, from querier) (map[string]hold, error) {
	holds := map[string]hold{}
	r, err := from.query(ctx, "SELECT host, until_at FROM {hold}")
	err = scan(r, err, func(r rows) error {
		var host string
		var h hold
		err := r.Scan(&host, &h.until)
		holds[host] = h
		return err
	})
	return holds, err
}
