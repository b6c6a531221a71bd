package queue

import (
	"context"
	"errors"
	"time"
)

// An outcome is what became of a mail that this process had claimed: the row as
// it is to be from now on.
type outcome struct {
	m       *mail
	charged bool     // an attempt was made that counts
	plain   bool     // delivered to all at once: recipients and history are as they were
	failure string   // what River is to list among the job's errors; empty: nothing
	queued  string   // the server's words to the last acceptance
	took    []int    // places of the recipients that were accepted
	notices []notice // to be told
	tokens  []int    // of the journal
	done    chan struct{}
}

const (
	sqlDelivered = "UPDATE {mail} SET state = 2, finished = $2, attempts = $3, reply = $4, cause = '', node = '' " +
		"WHERE id = $1 AND state = 1 AND node = $5"
	sqlSettled = "UPDATE {mail} SET state = $2, due = $3, alarm = $4, finished = $5, attempts = $6, cause = $7, reply = $8, rcpts = $9, history = $10, node = '' " +
		"WHERE id = $1 AND state = 1 AND node = $11"
	sqlSettleAny = "UPDATE {mail} SET state = $2, due = $3, alarm = $4, finished = $5, attempts = $6, cause = $7, reply = $8, rcpts = $9, history = $10, node = '' " +
		"WHERE id = $1"
	// River's own completion of an attempt comes some time after ours. It leaves
	// a job alone that is not running, but it may be running again by then, and
	// is taken for completed: what it says is overruled.
	sqlJobsDone    = "UPDATE {job} SET state = 'completed', finalized_at = {now} WHERE id {in:$1:in}"
	sqlJobsFailed  = "UPDATE {job} SET state = 'discarded', finalized_at = {now} WHERE id {in:$1:in}"
	sqlJobsDropped = "UPDATE {job} SET state = 'cancelled', finalized_at = {now} WHERE id {in:$1:in}"
	sqlJobWaits    = "UPDATE {job} SET state = 'pending', finalized_at = NULL, queue = '" + mailQueue + "', attempt = {greatest}(attempt - $2, 0), scheduled_at = {when $3} " +
		"WHERE id = $1 AND state <> 'cancelled'"
	sqlJobError     = "UPDATE {job} SET {add error} WHERE id = $1"
	sqlDropBodies   = "DELETE FROM {body} WHERE id {in:$1:in} AND refs <= 1"
	sqlReleaseBody  = "UPDATE {body} SET refs = refs - 1 WHERE id {in:$1:in}"
	sqlInsertNotice = "INSERT INTO {notice} (mail_id, kind, node, rcpts, created) VALUES ($1, $2, $3, $4, $5)"
	sqlLoad         = "SELECT " + columns + " FROM {mail} WHERE id = $1"
)

// A recorder writes outcomes, many in one durable transaction. Whoever brings one
// waits until it is on disk.
type recorder struct {
	q    *Queue
	in   chan *outcome
	stop context.Context // ends when what cannot be written is to be left
	over chan struct{}
}

// mostRecord is how many outcomes share a transaction.
const mostRecord = 200

func newRecorder(stop context.Context, q *Queue) *recorder {
	r := &recorder{q: q, in: make(chan *outcome), stop: stop, over: make(chan struct{})}
	go r.run()
	return r
}

// put returns when o is recorded; false if it could not be before the end.
func (r *recorder) put(o *outcome) bool {
	o.done = make(chan struct{})
	select {
	case r.in <- o:
	case <-r.stop.Done():
		return false
	}
	select {
	case <-o.done:
		return true
	case <-r.stop.Done():
		return false
	}
}

func (r *recorder) run() {
	defer close(r.over)
	for {
		var batch []*outcome
		select {
		case o := <-r.in:
			batch = append(batch, o)
		case <-r.stop.Done():
			return
		}
		for more := true; more && len(batch) < mostRecord; {
			select {
			case o := <-r.in:
				batch = append(batch, o)
			default:
				more = false
			}
		}
		r.record(batch)
	}
}

// record writes a batch, until it succeeds: what is not written down would be
// sent again.
func (r *recorder) record(batch []*outcome) {
	wait := 100 * time.Millisecond
	for try := 1; ; try++ {
		err := r.write(batch)
		if err == nil {
			return
		}
		r.q.trouble(err, "recording deliveries", "messages", len(batch), "try", try)
		if len(batch) > 1 && !errors.Is(err, ErrDiskFull) && !errors.Is(err, ErrBusy) {
			// One of them may be what the database does not take.
			for _, o := range batch {
				r.record([]*outcome{o})
			}
			return
		}
		select {
		case <-time.After(wait):
		case <-r.stop.Done():
			return
		}
		wait = min(2*wait, 5*time.Second)
	}
}

func (r *recorder) write(batch []*outcome) error {
	ctx, cancel := context.WithTimeout(r.stop, patience)
	defer cancel()
	if err := within(ctx, r.q.e, true, func(tx transaction) error { return r.q.settle(ctx, tx, batch) }); err != nil {
		return err
	}
	r.q.untroubled()
	var tokens []int
	told := false
	for _, o := range batch {
		tokens = append(tokens, o.tokens...)
		told = told || len(o.notices) > 0
		close(o.done)
	}
	r.q.e.journal().recorded(tokens)
	if told {
		r.q.teller.wake()
	}
	return nil
}

// settle writes outcomes within a transaction. One whose mail is no longer this
// process's, because it was dropped or taken over, counts only for what the
// server has accepted.
func (q *Queue) settle(ctx context.Context, tx transaction, batch []*outcome) error {
	first := make([]statement, len(batch))
	for i, o := range batch {
		m := o.m
		if o.plain {
			first[i] = statement{sqlDelivered, []any{m.id, m.finished, m.attempts, m.reply, q.node}}
		} else {
			first[i] = statement{sqlSettled, append(m.settled(), q.node)}
		}
	}
	counts, err := tx.execAll(ctx, first)
	if err != nil {
		return err
	}
	ours := batch[:0:0]
	var accepted []int64
	for i, o := range batch {
		if len(o.took) > 0 {
			accepted = append(accepted, o.m.id)
		}
		if counts[i] > 0 {
			ours = append(ours, o)
			continue
		}
		if err := q.settleLate(ctx, tx, o); err != nil {
			return err
		}
	}
	if err := q.settleJobs(ctx, tx, ours); err != nil {
		return err
	}
	if len(accepted) > 0 {
		return q.e.journal().forget(ctx, tx, accepted)
	}
	return nil
}

// settled are the arguments of sqlSettled.
func (m *mail) settled() []any {
	return []any{m.id, int(m.state), m.due, m.alarm, m.finished, m.attempts, m.cause, m.reply, marshal(m.rcpts), marshal(m.history)}
}

// settleJobs does what follows for River's jobs, for bodies and notices.
func (q *Queue) settleJobs(ctx context.Context, tx transaction, batch []*outcome) error {
	var done, failed, dropped []int64
	var rest []statement
	bodies := map[int64]int{}
	now := time.Now()
	for _, o := range batch {
		m := o.m
		switch m.state {
		case Delivered:
			done = append(done, m.id)
			bodies[m.body]++
		case Failed:
			failed = append(failed, m.id) // the body stays as long as the entry
		case Dropped:
			dropped = append(dropped, m.id)
			bodies[m.body]++
		default:
			back := 1
			if o.charged {
				back = 0
			}
			rest = append(rest, statement{sqlJobWaits, []any{m.id, back, max(m.due, m.created)}})
		}
		if o.failure != "" {
			rest = append(rest, statement{sqlJobError, []any{m.id, riverError(m.attempts, o.failure, now)}})
		}
		for _, n := range o.notices {
			if n.told {
				rest = append(rest, statement{sqlInsertNotice, []any{m.id, int(n.kind), q.node, marshal(n.rcpts), stamp(now)}})
			}
			if n.dsn != nil {
				if _, err := q.insert(ctx, tx, []*parcel{n.dsn}); err != nil {
					return err
				}
			}
		}
	}
	list := q.e.dialect().list
	add := func(sql string, ids []int64) {
		if len(ids) > 0 {
			rest = append(rest, statement{sql, []any{list(ids)}})
		}
	}
	add(sqlJobsDone, done)
	add(sqlJobsFailed, failed)
	add(sqlJobsDropped, dropped)
	rest = append(rest, q.release(bodies)...)
	_, err := tx.execAll(ctx, rest)
	return err
}

// release drops bodies that nobody needs any more. Each is no longer needed by so
// many entries.
func (q *Queue) release(bodies map[int64]int) (all []statement) {
	for len(bodies) > 0 {
		var ids []int64
		for id, n := range bodies {
			ids = append(ids, id)
			if bodies[id] = n - 1; n == 1 {
				delete(bodies, id)
			}
		}
		list := q.e.dialect().list(ids)
		all = append(all, statement{sqlDropBodies, []any{list}}, statement{sqlReleaseBody, []any{list}}) // the latter for those still there
	}
	return all
}

// settleLate merges what the server has accepted into a mail that has been
// dropped, or taken over by another process, while it was being sent.
func (q *Queue) settleLate(ctx context.Context, tx transaction, o *outcome) error {
	m, err := q.load(ctx, tx, o.m.id)
	if errors.Is(err, ErrNotFound) || err == nil && len(o.took) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, changed := merge(m.rcpts, []accepted{{ID: m.id, Rcpts: o.took, Queued: o.queued}}); !changed {
		return nil
	}
	q.log.Warn("a message was delivered after it was taken from this process", "id", m.id, "host", m.host, "state", m.state.String())
	m.remember(HistoryLine{Time: time.Now(), Text: "delivered to " + count(len(o.took), "recipient") + " after all: " + o.queued})
	if n, _ := m.open(); n == 0 && !m.state.isOver() {
		m.finish(time.Now(), o.queued)
		if err := q.settleJobs(ctx, tx, []*outcome{{m: m}}); err != nil {
			return err
		}
	}
	node := m.node
	if _, err = tx.exec(ctx, sqlSettleAny, m.settled()...); err == nil && m.state == Sending {
		_, err = tx.exec(ctx, "UPDATE {mail} SET node = $2 WHERE id = $1", m.id, node)
	}
	return err
}

// finish ends a mail none of whose recipients is open.
func (m *mail) finish(now time.Time, reply string) {
	m.state, m.finished = Delivered, stamp(now)
	for i := range m.rcpts {
		if m.rcpts[i].Failed {
			m.state = Failed
		}
	}
	if m.state == Delivered {
		m.cause, m.reply = "", reply
	}
}

func (q *Queue) load(ctx context.Context, from querier, id int64) (*mail, error) {
	m, found := &mail{}, false
	r, err := from.query(ctx, sqlLoad, id)
	err = scan(r, err, func(r rows) error {
		found = true
		return m.scan(r)
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	return m, err
}
