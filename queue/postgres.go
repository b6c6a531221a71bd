package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// migrateLock is the advisory lock under which tables are made.
const migrateLock = 0x736d7470_72657472 // "smtpretr"

// What PostgreSQL says where there is no queue yet.
const (
	pgUndefinedTable = "42P01"
	pgInvalidSchema  = "3F000"
)

// A postgresEngine is a PostgreSQL database that several processes may share.
type postgresEngine struct {
	*riverSide[pgx.Tx]
	d      *dialect
	schema string
	pool   *pgxpool.Pool
	sent   *tableJournal
	logger *slog.Logger
	closed atomic.Bool
}

func openPostgres(ctx context.Context, url, schema string, workers int, logger *slog.Logger) (*postgresEngine, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, &ConfigError{Field: "Config.Database", Reason: err.Error()}
	}
	// Workers wait for servers, not for the database; a few connections serve
	// many of them.
	if most := int32(min(8+workers/10, 32)); cfg.MaxConns < most {
		cfg.MaxConns = most
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	e := &postgresEngine{d: newDialect(true, schema), schema: schema, pool: pool, logger: logger}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	if e.riverSide, err = newRiverSide(riverpgxv5.New(pool), schema, logger); err != nil {
		pool.Close()
		return nil, err
	}
	e.sent = newTableJournal(e.d)
	return e, nil
}

func (e *postgresEngine) dialect() *dialect { return e.d }
func (e *postgresEngine) reader() querier   { return pgReader{e} }
func (e *postgresEngine) journal() journal  { return e.sent }

func (e *postgresEngine) migrate(ctx context.Context, make bool) error {
	if !make {
		err := within(ctx, e, false, func(tx transaction) error { return isOurs(ctx, tx) })
		var pe *pgconn.PgError
		if errors.As(err, &pe) && (pe.Code == pgUndefinedTable || pe.Code == pgInvalidSchema) {
			return &missingError{err}
		}
		return err
	}
	// One process at a time, over all machines.
	conn, err := e.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(migrateLock)); err != nil {
		return err
	}
	defer conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(migrateLock)) //nolint:errcheck // it ends with the connection
	if err := e.riverSide.migrate(ctx, e.logger); err != nil {
		return err
	}
	return within(ctx, e, true, func(tx transaction) error { return migrateOurs(ctx, tx) })
}

func (e *postgresEngine) begin(ctx context.Context, durable bool) (transaction, error) {
	o := pgx.TxOptions{}
	if !durable {
		o.BeginQuery = "BEGIN; SET LOCAL synchronous_commit = off"
	}
	tx, err := e.pool.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	return &pgTx{e, tx}, nil
}

func (e *postgresEngine) join(tx any) (transaction, error) {
	t, ok := tx.(pgx.Tx)
	if !ok {
		return nil, fmt.Errorf("queue: a transaction on PostgreSQL is a pgx.Tx, not a %T", tx)
	}
	return &pgTx{e, t}, nil
}

func (e *postgresEngine) insertJobs(ctx context.Context, tx transaction, jobs []river.InsertManyParams) ([]int64, error) {
	return e.riverSide.insertJobs(ctx, tx.(*pgTx).tx, jobs)
}

func (e *postgresEngine) notify(ctx context.Context, tx transaction, queue string) error {
	return e.riverSide.notify(ctx, tx.(*pgTx).tx, queue)
}

func (e *postgresEngine) start(ctx context.Context, w *workers) error {
	w.poll = 500 * time.Millisecond // a notification may be lost with its connection
	return e.riverSide.start(ctx, w)
}

func (e *postgresEngine) explain(err error) error {
	var pe *pgconn.PgError
	switch {
	case err == nil, errors.Is(err, ErrBusy), errors.Is(err, ErrDiskFull):
		return err
	case e.closed.Load():
		return fmt.Errorf("%w: %w", ErrClosed, err)
	case errors.As(err, &pe) && pe.Code == "53100":
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &pe) && (pe.Code == "55P03" || pe.Code == "40P01"):
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return err
}

func (e *postgresEngine) close() error {
	e.closed.Store(true)
	e.pool.Close()
	return nil
}

type pgReader struct{ e *postgresEngine }

func (r pgReader) query(ctx context.Context, sql string, args ...any) (rows, error) {
	rs, err := r.e.pool.Query(ctx, r.e.d.say(sql), args...)
	if err != nil {
		return nil, r.e.explain(err)
	}
	return pgRows{rs}, nil
}

type pgTx struct {
	e  *postgresEngine
	tx pgx.Tx
}

func (t *pgTx) query(ctx context.Context, sql string, args ...any) (rows, error) {
	rs, err := t.tx.Query(ctx, t.e.d.say(sql), args...)
	if err != nil {
		return nil, err
	}
	return pgRows{rs}, nil
}

func (t *pgTx) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	tag, err := t.tx.Exec(ctx, t.e.d.say(sql), args...)
	return tag.RowsAffected(), err
}

func (t *pgTx) execAll(ctx context.Context, all []statement) ([]int64, error) {
	if len(all) == 0 {
		return nil, nil
	}
	b := &pgx.Batch{}
	for _, s := range all {
		b.Queue(t.e.d.say(s.sql), s.args...)
	}
	res := t.tx.SendBatch(ctx, b)
	defer res.Close()
	counts := make([]int64, len(all))
	for i := range all {
		tag, err := res.Exec()
		if err != nil {
			return nil, err
		}
		counts[i] = tag.RowsAffected()
	}
	return counts, res.Close()
}

func (t *pgTx) commit(ctx context.Context) error { return t.tx.Commit(ctx) }
func (t *pgTx) rollback()                        { _ = t.tx.Rollback(context.Background()) }
