package queue

import (
	"context"
	"slices"
	"time"
)

// takeOver puts back what processes that have ended had claimed. What the journal
// says was accepted is recorded, and only the rest is sent again. Their notices
// are told by this process.
func (q *Queue) takeOver(ctx context.Context, nodes []string) error {
	for _, node := range nodes {
		for {
			n, err := q.takeSome(ctx, node)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
		}
		err := within(ctx, q.e, true, func(tx transaction) error {
			_, err := tx.exec(ctx, "UPDATE {notice} SET node = $1 WHERE node = $2", q.node, node)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// takeSome puts back up to a few hundred mails and returns how many it were.
func (q *Queue) takeSome(ctx context.Context, node string) (n int, err error) {
	err = within(ctx, q.e, true, func(tx transaction) error {
		var list []*mail
		var ids []int64
		r, err := tx.query(ctx, "SELECT "+columns+" FROM {mail} WHERE state = 1 AND node = $1 ORDER BY id LIMIT 500 {skip}", node)
		err = scan(r, err, func(r rows) error {
			m := &mail{}
			err := m.scan(r)
			list, ids = append(list, m), append(ids, m.id)
			return err
		})
		if n = len(list); err != nil || n == 0 {
			return err
		}
		kept, err := q.e.journal().find(ctx, tx, ids)
		if err != nil {
			return err
		}
		now := time.Now()
		running, err := q.startedJobs(ctx, tx, ids)
		if err != nil {
			return err
		}
		var batch []*outcome
		var all []statement
		for _, m := range list {
			o := &outcome{m: m, charged: true}
			mine := slices.DeleteFunc(slices.Clone(kept), func(a accepted) bool { return a.ID != m.id })
			queued, changed := merge(m.rcpts, mine)
			if changed {
				m.attempts++
			}
			switch open, _ := m.open(); {
			case open == 0:
				m.finish(now, queued)
			case running[m.id]:
				m.state = Waiting
				m.remember(HistoryLine{Time: now, Text: "interrupted by the end of the process"})
			default: // claimed, and not begun
				m.state, o.charged = Waiting, false
			}
			batch = append(batch, o)
			all = append(all, statement{sqlSettleAny, m.settled()})
		}
		if _, err := tx.execAll(ctx, all); err != nil {
			return err
		}
		if err := q.settleJobs(ctx, tx, batch); err != nil {
			return err
		}
		return q.e.journal().forget(ctx, tx, ids)
	})
	return n, err
}

// startedJobs says which of the jobs were being worked.
func (q *Queue) startedJobs(ctx context.Context, tx transaction, ids []int64) (map[int64]bool, error) {
	started := map[int64]bool{}
	r, err := tx.query(ctx, "SELECT id FROM {job} WHERE id {in:$1:in} AND state = 'running'", q.e.dialect().list(ids))
	err = scan(r, err, func(r rows) error {
		var id int64
		err := r.Scan(&id)
		started[id] = true
		return err
	})
	return started, err
}
