package queue

import (
	"context"
	"fmt"
	"time"
)

// Progress is told how far a long operation has come: done of total entries. It
// is called between steps, on the caller's goroutine. nil is fine.
type Progress func(done, total int)

// dueNow is the time of a message that somebody wants tried now: ahead of the
// line, and to all its open recipients.
const dueNow = 1

// mostStep is how many entries are changed at once. Others wait meanwhile.
const mostStep = 1000

// Retry makes waiting entries that fit due now, ahead of those that came before
// them. Holds, limits and pauses of their destinations still count. It returns
// how many it were; entries that are being sent are not among them. On an error
// that is how far it came.
func (q *Queue) Retry(ctx context.Context, f Filter, p Progress) (n int, err error) {
	f.States = []State{Waiting}
	return q.each(ctx, f, p, func(ctx context.Context, tx transaction, ids []int64) (int, error) {
		changed, err := tx.exec(ctx, "UPDATE {mail} SET due = $2 WHERE id {in:$1:in} AND state = 0", q.e.dialect().list(ids), dueNow)
		return int(changed), err
	})
}

// Drop takes entries that fit out of the queue, whatever their state: nothing
// more is sent of them, and nobody is told. An attempt that is under way, here or
// in another process, is broken off within a second or two; if the server had
// accepted the message by then, the entry's history says so. An entry that is
// stuck, because the process that claimed it does not come back, goes too. It
// returns how many it were; on an error that is how far it came.
func (q *Queue) Drop(ctx context.Context, f Filter, p Progress) (n int, err error) {
	if len(f.States) == 0 {
		f.States = []State{Waiting, Sending}
	}
	for _, s := range f.States {
		if s.isOver() {
			return 0, &ConfigError{Field: "Filter.States", Reason: "has " + s.String() + ": it is over already"}
		}
	}
	n, err = q.each(ctx, f, p, q.dropSome)
	if n > 0 && q.d != nil {
		_ = q.breakOff(ctx) // or else the housekeeper does
	}
	return n, err
}

func (q *Queue) dropSome(ctx context.Context, tx transaction, ids []int64) (int, error) {
	list := q.e.dialect().list
	bodies := map[int64]int{}
	var dropped []int64
	r, err := tx.query(ctx, "UPDATE {mail} SET state = 4, finished = $2, node = '' WHERE id {in:$1:in} AND state < 2 RETURNING id, body_id", list(ids), stamp(time.Now()))
	err = scan(r, err, func(r rows) error {
		var id, body int64
		err := r.Scan(&id, &body)
		dropped = append(dropped, id)
		bodies[body]++
		return err
	})
	if err != nil || len(dropped) == 0 {
		return 0, err
	}
	_, err = tx.execAll(ctx, append(q.release(bodies), statement{sqlJobsDropped, []any{list(dropped)}}))
	return len(dropped), err
}

// each changes the entries that fit, some at a time.
func (q *Queue) each(ctx context.Context, f Filter, p Progress, change func(context.Context, transaction, []int64) (int, error)) (n int, err error) {
	most := f.Limit
	cond, args := f.where(q.e.dialect())
	total := 0
	r, err := q.e.reader().query(ctx, "SELECT count(*) FROM {mail} WHERE "+cond, args...)
	if err := scan(r, err, func(r rows) error { return r.Scan(&total) }); err != nil {
		return 0, err
	}
	if most > 0 {
		total = min(total, most)
	}
	done := 0
	for {
		step := mostStep
		if most > 0 {
			step = min(step, most-done)
		}
		if p != nil {
			p(done, max(total, done))
		}
		if step == 0 {
			return n, nil
		}
		cond, args := f.where(q.e.dialect())
		var ids []int64
		r, err := q.e.reader().query(ctx, "SELECT id FROM {mail} WHERE "+cond+fmt.Sprintf(" ORDER BY id LIMIT %d", step), args...)
		err = scan(r, err, func(r rows) error {
			var id int64
			err := r.Scan(&id)
			ids = append(ids, id)
			return err
		})
		if err != nil || len(ids) == 0 {
			return n, err
		}
		stepCtx, cancel := q.bounded(ctx)
		changed := 0
		err = within(stepCtx, q.e, true, func(tx transaction) (err error) {
			changed, err = change(stepCtx, tx, ids)
			return err
		})
		cancel()
		if err != nil {
			return n, err
		}
		n += changed
		done += len(ids)
		f.After = ids[len(ids)-1]
		if q.d != nil {
			q.d.wake()
		}
	}
}

// breakOff ends the attempts of this process whose entries were dropped.
func (q *Queue) breakOff(ctx context.Context) error {
	var ids []int64
	q.running.Range(func(id, _ any) bool {
		ids = append(ids, id.(int64))
		return true
	})
	if len(ids) == 0 {
		return nil
	}
	r, err := q.e.reader().query(ctx, "SELECT id FROM {mail} WHERE id {in:$1:in} AND state = 4", q.e.dialect().list(ids))
	return scan(r, err, func(r rows) error {
		var id int64
		if err := r.Scan(&id); err != nil {
			return err
		}
		if cancel, ok := q.running.Load(id); ok {
			cancel.(context.CancelCauseFunc)(errDropped)
		}
		return nil
	})
}
