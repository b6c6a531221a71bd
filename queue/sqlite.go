package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteReaders is how many connections read beside the one that writes. In WAL
// mode they do not wait for it, nor it for them.
const sqliteReaders = 4

// A sqliteEngine is one file. One connection writes: SQLite lets one writer in
// at a time, and those who wait for it within a process do so in order, while
// connections sleep and try again.
type sqliteEngine struct {
	*riverSide[*sql.Tx]
	d       *dialect
	path    string
	writer  *sql.DB
	readers *sql.DB
	lock    *fileLock    // nil: attached to a queue that another process works
	sent    *fileJournal // nil likewise
	logger  *slog.Logger
	closed  atomic.Bool
}

// openSQLite opens the file, and with make makes it if it is missing. With
// exclusive, no other process may do so at the same time.
func openSQLite(ctx context.Context, path string, make, exclusive bool, logger *slog.Logger) (_ *sqliteEngine, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if !make {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("queue: %w", err)
		}
	}
	e := &sqliteEngine{d: newDialect(false, ""), path: path, logger: logger}
	defer func() {
		if err != nil {
			_ = e.close()
		}
	}()
	if exclusive {
		if e.lock, err = lockFile(path + ".lock"); err != nil {
			return nil, err
		}
	}
	// FULL: a commit is on disk when it returns. NORMAL would survive the end
	// of the process, but not always that of the machine.
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	if e.writer, err = open(dsn + "&_txlock=immediate&_pragma=cache_size(-16000)"); err != nil {
		return nil, err
	}
	e.writer.SetMaxOpenConns(1)
	e.writer.SetConnMaxIdleTime(0)
	if err := e.writer.PingContext(ctx); err != nil {
		return nil, e.explain(err)
	}
	if e.readers, err = open(dsn + "&_pragma=query_only(1)"); err != nil {
		return nil, err
	}
	e.readers.SetMaxOpenConns(sqliteReaders)
	e.readers.SetMaxIdleConns(sqliteReaders)
	if e.riverSide, err = newRiverSide(riversqlite.New(e.writer), "", logger); err != nil {
		return nil, err
	}
	if exclusive {
		if e.sent, err = openJournal(path + ".accepted"); err != nil {
			return nil, e.explain(err)
		}
	}
	return e, nil
}

func open(dsn string) (*sql.DB, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(cachingConnector{c}), nil
}

func (e *sqliteEngine) dialect() *dialect { return e.d }
func (e *sqliteEngine) reader() querier   { return sqliteReader{e} }
func (e *sqliteEngine) journal() journal  { return e.sent }

func (e *sqliteEngine) migrate(ctx context.Context, make bool) error {
	if !make {
		return within(ctx, e, false, func(tx transaction) error { return isOurs(ctx, tx) })
	}
	if err := e.riverSide.migrate(ctx, e.logger); err != nil {
		return err
	}
	return within(ctx, e, true, func(tx transaction) error { return migrateOurs(ctx, tx) })
}

func (e *sqliteEngine) begin(ctx context.Context, _ bool) (transaction, error) {
	tx, err := e.writer.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &sqliteTx{e, tx}, nil
}

func (e *sqliteEngine) join(tx any) (transaction, error) {
	t, ok := tx.(*sql.Tx)
	if !ok {
		return nil, fmt.Errorf("queue: a transaction on SQLite is a *sql.Tx, not a %T", tx)
	}
	return &sqliteTx{e, t}, nil
}

func (e *sqliteEngine) insertJobs(ctx context.Context, tx transaction, jobs []river.InsertManyParams) ([]int64, error) {
	return e.riverSide.insertJobs(ctx, tx.(*sqliteTx).tx, jobs)
}

// notify does nothing: River's notifications on SQLite are rows that it polls for
// 20 times a second, and it may as well poll for the jobs.
func (e *sqliteEngine) notify(context.Context, transaction, string) error { return nil }

func (e *sqliteEngine) start(ctx context.Context, w *workers) error {
	w.poll, w.pollOnly = 25*time.Millisecond, true
	return e.riverSide.start(ctx, w)
}

func (e *sqliteEngine) explain(err error) error {
	var se *sqlite.Error
	switch {
	case err == nil, errors.Is(err, ErrBusy), errors.Is(err, ErrDiskFull):
		return err
	case e.closed.Load():
		return fmt.Errorf("%w: %w", ErrClosed, err)
	case isNoSpace(err):
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case !errors.As(err, &se):
		return err
	}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return err
}

func (e *sqliteEngine) close() error {
	e.closed.Store(true)
	var errs []error
	if e.readers != nil {
		errs = append(errs, e.readers.Close())
	}
	if e.writer != nil {
		errs = append(errs, e.writer.Close())
	}
	if e.sent != nil {
		errs = append(errs, e.sent.close())
	}
	if e.lock != nil {
		errs = append(errs, e.lock.unlock())
	}
	return errors.Join(errs...)
}

type sqliteReader struct{ e *sqliteEngine }

func (r sqliteReader) query(ctx context.Context, sql string, args ...any) (rows, error) {
	rs, err := r.e.readers.QueryContext(ctx, r.e.d.say(sql), args...)
	if err != nil {
		return nil, r.e.explain(err)
	}
	return sqlRows{rs}, nil
}

type sqliteTx struct {
	e  *sqliteEngine
	tx *sql.Tx
}

func (t *sqliteTx) query(ctx context.Context, sql string, args ...any) (rows, error) {
	rs, err := t.tx.QueryContext(ctx, t.e.d.say(sql), args...)
	if err != nil {
		return nil, err
	}
	return sqlRows{rs}, nil
}

func (t *sqliteTx) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	res, err := t.tx.ExecContext(ctx, t.e.d.say(sql), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *sqliteTx) execAll(ctx context.Context, all []statement) ([]int64, error) {
	counts := make([]int64, len(all))
	for i, s := range all {
		n, err := t.exec(ctx, s.sql, s.args...)
		if err != nil {
			return nil, err
		}
		counts[i] = n
	}
	return counts, nil
}

func (t *sqliteTx) commit(context.Context) error { return t.tx.Commit() }
func (t *sqliteTx) rollback()                    { _ = t.tx.Rollback() }
