package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Options say where a [Store] keeps things. The zero value is useful.
type Options struct {
	// Table is its name, with a schema before a dot if it is to be in a certain
	// one; empty: "smtpretry_limits". It is made if it is missing.
	Table string

	// Account tells apart those who may each send as much as the limit says,
	// such as accounts of one provider, or sending addresses. Limiters share
	// their limits if they name the same one. It may be empty.
	Account string

	// Durable waits with each decision until the database has written it to
	// disk, which on most disks makes a fleet several times slower. Without it a
	// crash of the database's machine forgets what was sent in the last moments,
	// up to a second. Rates do not suffer once a process asks that has missed the
	// database, or was told more before: it takes for used what the database says was
	// saved. A quota is short of those messages.
	Durable bool
}

// A Store is a [smtpretry.Store] in a PostgreSQL table. It is safe for concurrent
// use, and for use by any number of processes with the same table.
type Store struct {
	pool    *pgxpool.Pool
	account string

	lock, read, insert, write, sweep string

	mu    sync.Mutex
	swept time.Time
}

// A transaction that lasts longer belongs to a process that is gone or suspended:
// the database ends it, lest all others wait for its row.
const (
	longest    = 5 * time.Second
	sweepEvery = 10 * time.Minute
)

// New returns a Store in the database of pool, which stays the caller's. It makes
// the table if it is missing, which takes the right to. Each host that is being
// talked about takes one connection of the pool for a moment; where others keep
// them all for longer, that is as if the database were away.
func New(ctx context.Context, pool *pgxpool.Pool, o Options) (*Store, error) {
	if o.Table == "" {
		o.Table = "smtpretry_limits"
	}
	table := pgx.Identifier(strings.Split(o.Table, ".")).Sanitize()
	// Several processes that start at once would make it at once, which fails for
	// all but one in spite of IF NOT EXISTS.
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext($1))`, table); err != nil {
			return err
		}
		var there bool // CREATE takes the right to make it also then
		if err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, table).Scan(&there); err != nil || there {
			return err
		}
		_, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS `+table+` (
	account text NOT NULL,
	host text NOT NULL,
	state bytea NOT NULL,
	changed timestamptz NOT NULL,
	expires timestamptz NOT NULL,
	PRIMARY KEY (account, host)
) WITH (fillfactor = 50)`)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("pgstore: table %s: %w", table, err)
	}
	commit := `, set_config('synchronous_commit', 'off', true)`
	if o.Durable {
		commit = ""
	}
	s := &Store{pool: pool, account: o.Account}
	s.lock = fmt.Sprintf(`SELECT set_config('idle_in_transaction_session_timeout', '%d', true), set_config('lock_timeout', '%[1]d', true)%s`,
		longest.Milliseconds(), commit)
	s.read = `SELECT state FROM ` + table + ` WHERE account = $1 AND host = $2 FOR UPDATE`
	s.insert = `INSERT INTO ` + table + ` (account, host, state, changed, expires) VALUES ($1, $2, '', clock_timestamp(), clock_timestamp() + interval '1 hour') ON CONFLICT DO NOTHING`
	s.write = `UPDATE ` + table + ` SET state = $3, changed = clock_timestamp(), expires = clock_timestamp() + $4 WHERE account = $1 AND host = $2`
	s.sweep = `DELETE FROM ` + table + ` WHERE expires < clock_timestamp() AND ctid = ANY (ARRAY(SELECT ctid FROM ` + table + ` WHERE expires < clock_timestamp() LIMIT 1000 FOR UPDATE SKIP LOCKED))`
	return s, nil
}

// Update implements [smtpretry.Store]. The row's lock makes it one step; the time
// is read after it was taken, as the transaction's own is that of its beginning.
func (s *Store) Update(ctx context.Context, host string, change func(stored []byte, now time.Time) ([]byte, time.Duration, error)) error {
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("pgstore: %w", err)
	}
	defer c.Release()
	if err := s.update(ctx, c.Conn(), host, change); err != nil {
		return err
	}
	s.sweepSometimes(ctx, c.Conn())
	return nil
}

func (s *Store) update(ctx context.Context, c *pgx.Conn, host string, change func([]byte, time.Time) ([]byte, time.Duration, error)) error {
	for {
		stored, now, err := s.begin(ctx, c, host)
		if errors.Is(err, pgx.ErrNoRows) {
			if _, err = c.Exec(ctx, s.insert, s.account, host); err == nil {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("pgstore: %w", err)
		}
		next, keep, err := change(stored, now)
		if err != nil {
			return errors.Join(err, s.rollback(ctx, c))
		}
		b := &pgx.Batch{}
		b.Queue(s.write, s.account, host, next, keep)
		b.Queue("COMMIT")
		if err := c.SendBatch(ctx, b).Close(); err != nil {
			return errors.Join(fmt.Errorf("pgstore: %w", err), s.rollback(ctx, c))
		}
		return nil
	}
}

// begin opens a transaction that holds the host's row. With an error there is none.
func (s *Store) begin(ctx context.Context, c *pgx.Conn, host string) (stored []byte, now time.Time, err error) {
	b := &pgx.Batch{}
	b.Queue("BEGIN ISOLATION LEVEL READ COMMITTED") // in any other, whoever waited for the row fails
	b.Queue(s.lock)
	b.Queue(s.read, s.account, host).QueryRow(func(row pgx.Row) error { return row.Scan(&stored) })
	b.Queue(`SELECT clock_timestamp()`).QueryRow(func(row pgx.Row) error { return row.Scan(&now) })
	if err := c.SendBatch(ctx, b).Close(); err != nil {
		return nil, time.Time{}, errors.Join(err, s.rollback(ctx, c))
	}
	return stored, now, nil
}

// rollback ends the transaction, or the connection if that cannot be had any more;
// the pool makes another.
func (s *Store) rollback(ctx context.Context, c *pgx.Conn) error {
	if c.IsClosed() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := c.Exec(ctx, "ROLLBACK"); err != nil {
		return c.Close(ctx)
	}
	return nil
}

// sweepSometimes forgets hosts that have been of no interest for long. That it
// fails is of no interest either: it is tried again.
func (s *Store) sweepSometimes(ctx context.Context, c *pgx.Conn) {
	s.mu.Lock()
	due := time.Since(s.swept) >= sweepEvery
	if due {
		s.swept = time.Now()
	}
	s.mu.Unlock()
	if due {
		_, _ = c.Exec(ctx, s.sweep)
	}
}
