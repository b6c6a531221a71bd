package queue

import (
	"context"
	"time"
)

// A housekeeper does what comes round again, on the dispatcher's goroutine.
type housekeeper struct {
	q     *Queue
	nodes time.Time
	drops time.Time
	purge time.Time
	idle  time.Time
}

func newHousekeeper(q *Queue) *housekeeper {
	return &housekeeper{q: q, idle: time.Now().Add(time.Minute)}
}

func (h *housekeeper) run(ctx context.Context) {
	q := h.q
	do := func(what string, f func(context.Context) (more bool, err error)) (more bool) {
		ctx, cancel := q.bounded(ctx)
		defer cancel()
		more, err := f(ctx)
		if err != nil && ctx.Err() == nil {
			q.trouble(err, what)
		}
		return more && err == nil
	}
	now := time.Now()
	do("looking for messages that are late", func(ctx context.Context) (bool, error) { return q.alarms(ctx, now) })
	if now.After(h.nodes) && q.nodes != nil {
		h.nodes = now.Add(2 * time.Second)
		do("looking after other processes", func(ctx context.Context) (bool, error) { return false, q.nodes.look(ctx) })
	}
	if now.After(h.drops) {
		h.drops = now.Add(time.Second)
		do("looking for what was dropped", func(ctx context.Context) (bool, error) { return false, q.breakOff(ctx) })
	}
	if now.After(h.purge) {
		h.purge = now.Add(time.Minute)
		if do("removing what is finished", q.purge) {
			h.purge = now.Add(time.Second)
		}
	}
	if now.After(h.idle) {
		h.idle = now.Add(time.Minute)
		q.clients.closeIdle(now)
	}
}

// mostPurge is how many entries are removed at once. Others wait meanwhile.
const mostPurge = 2000

// purge removes entries that are over for longer than Config.Keep, and reports
// whether there are more.
func (q *Queue) purge(ctx context.Context) (more bool, err error) {
	old := stamp(time.Now().Add(-q.cfg.Keep))
	var ids []int64
	bodies := map[int64]int{} // of those that failed, the others' are gone
	r, err := q.e.reader().query(ctx, "SELECT id, body_id, state FROM {mail} WHERE state > 1 AND finished < $1 ORDER BY finished LIMIT $2", old, mostPurge)
	err = scan(r, err, func(r rows) error {
		var id, body int64
		var state State
		err := r.Scan(&id, &body, &state)
		ids = append(ids, id)
		if state == Failed {
			bodies[body]++
		}
		return err
	})
	if err != nil {
		return false, err
	}
	list := q.e.dialect().list
	err = within(ctx, q.e, false, func(tx transaction) error {
		if len(ids) > 0 {
			all := append(q.release(bodies),
				statement{"DELETE FROM {mail} WHERE id {in:$1:in}", []any{list(ids)}},
				statement{"DELETE FROM {notice} WHERE mail_id {in:$1:in}", []any{list(ids)}},
				statement{"DELETE FROM {accepted} WHERE mail_id {in:$1:in}", []any{list(ids)}})
			if _, err := tx.execAll(ctx, all); err != nil {
				return err
			}
		}
		_, err := tx.exec(ctx, "DELETE FROM {key} WHERE created < $1 AND NOT EXISTS (SELECT 1 FROM {mail} WHERE id = mail_id AND state < 2)", old)
		if err != nil {
			return err
		}
		_, err = tx.exec(ctx, "DELETE FROM {hold} WHERE until_at > 0 AND until_at < $1", stamp(time.Now()))
		return err
	})
	return len(ids) == mostPurge, err
}
