package queue

import (
	"context"
	"errors"
	"sync"

	"github.com/jackc/pgx/v5"
)

// A tableJournal keeps what was accepted in a table, so that any process can
// take over. Its commits do not wait for the disk: what has left this process is
// carried out by the server, even if nobody is there for the answer.
//
// That is so for the statement that a connection is at, not for one sent behind
// it: a server that cannot answer the first does not begin the second. So there
// are several connections, with one statement at a time each. All of them hold
// the lock of this process, so whoever finds that free finds the table complete.
type tableJournal struct {
	sql string
	in  chan *journalEntry

	mu    sync.Mutex
	conns map[*pgx.Conn]context.CancelFunc
}

// journalConns is how many connections there are.
const journalConns = 8

type journalEntry struct {
	a    accepted
	err  error
	done chan struct{}
}

func newTableJournal(d *dialect) *tableJournal {
	return &tableJournal{in: make(chan *journalEntry), conns: map[*pgx.Conn]context.CancelFunc{},
		sql: d.say("INSERT INTO {accepted} (mail_id, rcpts, queued) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])")}
}

// missing says how many connections there should be beside those that work.
func (j *tableJournal) missing() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return journalConns - len(j.conns)
}

// use writes over conn, which belongs to the journal from now on.
func (j *tableJournal) use(conn *pgx.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	j.mu.Lock()
	j.conns[conn] = cancel
	j.mu.Unlock()
	go func() {
		defer func() {
			cancel()
			_ = conn.Close(context.Background())
			j.mu.Lock()
			delete(j.conns, conn)
			j.mu.Unlock()
		}()
		for !conn.IsClosed() {
			select {
			case e := <-j.in:
				j.insert(conn, e)
			case <-ctx.Done():
				return
			}
		}
	}()
}

// insert writes first and all that wait beside it.
func (j *tableJournal) insert(conn *pgx.Conn, first *journalEntry) {
	batch := []*journalEntry{first}
	for more := true; more; {
		select {
		case e := <-j.in:
			batch = append(batch, e)
		default:
			more = false
		}
	}
	ids, rcpts, queued := make([]int64, len(batch)), make([]string, len(batch)), make([]string, len(batch))
	for i, e := range batch {
		ids[i], rcpts[i], queued[i] = e.a.ID, marshal(e.a.Rcpts), e.a.Queued
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := conn.Exec(ctx, j.sql, ids, rcpts, queued)
	for _, e := range batch {
		e.err = err
		close(e.done)
	}
}

func (j *tableJournal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, cancel := range j.conns {
		cancel()
	}
}

func (j *tableJournal) write(ctx context.Context, a accepted) (int, error) {
	if j.missing() == journalConns {
		return 0, errors.New("queue: there is no connection for the journal")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	e := &journalEntry{a: a, done: make(chan struct{})}
	select {
	case j.in <- e:
		<-e.done
		return 0, e.err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func (j *tableJournal) find(ctx context.Context, q querier, ids []int64) (all []accepted, _ error) {
	r, err := q.query(ctx, "SELECT mail_id, rcpts, queued FROM {accepted} WHERE mail_id {in:$1:in}", ids)
	err = scan(r, err, func(r rows) error {
		var a accepted
		var rcpts string
		if err := r.Scan(&a.ID, &rcpts, &a.Queued); err != nil {
			return err
		}
		all = append(all, a)
		return unmarshal(rcpts, &all[len(all)-1].Rcpts)
	})
	return all, err
}

func (j *tableJournal) forget(ctx context.Context, tx transaction, ids []int64) error {
	_, err := tx.exec(ctx, "DELETE FROM {accepted} WHERE mail_id {in:$1:in}", ids)
	return err
}

func (j *tableJournal) recorded([]int) {}
