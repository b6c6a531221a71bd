package queue

import (
	"context"
	"time"
)

const (
	// sqlClaimable finds the first messages of a host that are due, the most
	// urgent first. Each part reads no more of the index than it gives.
	sqlClaimable = `
WITH p1 AS (SELECT id, priority, due FROM {mail} WHERE state = 0 AND host = $1 AND priority = 1 AND due <= $2 ORDER BY due, id LIMIT $3 {skip}),
	p2 AS (SELECT id, priority, due FROM {mail} WHERE state = 0 AND host = $1 AND priority = 2 AND due <= $2 ORDER BY due, id LIMIT $3 {skip}),
	p3 AS (SELECT id, priority, due FROM {mail} WHERE state = 0 AND host = $1 AND priority = 3 AND due <= $2 ORDER BY due, id LIMIT $3 {skip}),
	p4 AS (SELECT id, priority, due FROM {mail} WHERE state = 0 AND host = $1 AND priority = 4 AND due <= $2 ORDER BY due, id LIMIT $3 {skip})
SELECT id FROM (SELECT * FROM p1 UNION ALL SELECT * FROM p2 UNION ALL SELECT * FROM p3 UNION ALL SELECT * FROM p4) AS p
ORDER BY priority, due, id LIMIT $3`

	// sqlNextDue is when the next message of a host is due; four dates, not all
	// of them there.
	sqlNextDue = `
SELECT (SELECT min(due) FROM {mail} WHERE state = 0 AND host = $1 AND priority = 1),
	(SELECT min(due) FROM {mail} WHERE state = 0 AND host = $1 AND priority = 2),
	(SELECT min(due) FROM {mail} WHERE state = 0 AND host = $1 AND priority = 3),
	(SELECT min(due) FROM {mail} WHERE state = 0 AND host = $1 AND priority = 4)`

	sqlClaimMails = "UPDATE {mail} SET state = 1, node = $2 WHERE id {in:$1:in} AND state = 0"

	// River fetches by priority and time; what is claimed is all due alike.
	sqlClaimJobs = "UPDATE {job} SET state = 'available', queue = $2, scheduled_at = {now} WHERE id {in:$1:in} AND state = 'pending' RETURNING id"
)

// claim makes up to n messages of each host this process's own, and their jobs
// available to its workers.
func (q *Queue) claim(ctx context.Context, tx transaction, n map[string]int, now time.Time) (map[string][]int64, error) {
	list := q.e.dialect().list
	got := map[string][]int64{}
	var all []int64
	for host, most := range n {
		if most == 0 {
			continue
		}
		r, err := tx.query(ctx, sqlClaimable, host, stamp(now), most)
		err = scan(r, err, func(r rows) error {
			var id int64
			if err := r.Scan(&id); err != nil {
				return err
			}
			got[host], all = append(got[host], id), append(all, id)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return got, nil
	}
	if _, err := tx.exec(ctx, sqlClaimMails, list(all), q.node); err != nil {
		return nil, err
	}
	ready := map[int64]bool{}
	r, err := tx.query(ctx, sqlClaimJobs, list(all), q.riverQueue)
	err = scan(r, err, func(r rows) error {
		var id int64
		err := r.Scan(&id)
		ready[id] = true
		return err
	})
	if err != nil || len(ready) == len(all) {
		return got, err
	}
	// The others' jobs are not pending: somebody has cancelled, deleted or
	// started them in River's interface, or River's completion of an earlier
	// attempt was late.
	for host, ids := range got {
		var rest []int64
		for _, id := range ids {
			if ready[id] {
				rest = append(rest, id)
			} else if err := q.reconcile(ctx, tx, id); err != nil {
				return nil, err
			}
		}
		got[host] = rest
	}
	return got, nil
}

// nextDue says when the next message of each host is due.
func (q *Queue) nextDue(ctx context.Context, from querier, hosts []string) (map[string]int64, error) {
	next := map[string]int64{}
	for _, host := range hosts {
		r, err := from.query(ctx, sqlNextDue, host)
		err = scan(r, err, func(r rows) error {
			var due [4]*int64
			err := r.Scan(&due[0], &due[1], &due[2], &due[3])
			next[host] = earliest(due)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return next, nil
}

func earliest(due [4]*int64) int64 {
	first := int64(never)
	for _, t := range due {
		if t != nil {
			first = min(first, *t)
		}
	}
	return first
}

// reconcile makes a mail follow what was done to its job in River's interface.
func (q *Queue) reconcile(ctx context.Context, tx transaction, id int64) error {
	state := ""
	r, err := tx.query(ctx, "SELECT state FROM {job} WHERE id = $1", id)
	if err := scan(r, err, func(r rows) error { return r.Scan(&state) }); err != nil {
		return err
	}
	switch state {
	case "cancelled", "": // by hand; River cancels nothing by itself, and deletes what is finalized only
	case "completed", "discarded":
		if _, err := tx.exec(ctx, sqlJobWaits, id, 0, stamp(time.Now())); err != nil {
			return err
		}
		fallthrough
	default: // or it is sent by whoever gets it from River
		_, err := tx.exec(ctx, "UPDATE {mail} SET state = 0, node = '' WHERE id = $1", id)
		return err
	}
	m, err := q.load(ctx, tx, id)
	if err != nil {
		return err
	}
	m.drop("cancelled or deleted in River", time.Now())
	if err := q.settleJobs(ctx, tx, []*outcome{{m: m}}); err != nil {
		return err
	}
	_, err = tx.exec(ctx, sqlSettleAny, m.settled()...)
	return err
}

// drop ends a mail by hand.
func (m *mail) drop(why string, now time.Time) {
	m.state, m.finished = Dropped, stamp(now)
	m.remember(HistoryLine{Time: now, Text: "dropped: " + why})
}
