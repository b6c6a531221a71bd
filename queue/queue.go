package queue

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// A Queue is a durable queue of messages and, when opened with a way to deliver,
// the workers that empty it. It is safe for concurrent use.
type Queue struct {
	cfg        Config
	e          engine
	log        *slog.Logger
	node       string // this process, among those of one database
	riverQueue string // where its jobs go

	intake   intake
	d        *dispatcher // nil when attached, as are the others below
	recorder *recorder
	teller   *teller
	clients  *clients
	nodes    *nodes // nil on SQLite

	running  sync.Map // id → context.CancelCauseFunc of the attempts under way
	flights  sync.Map // id → host of what is claimed
	stopping context.CancelFunc
	leaving  context.CancelFunc
	closing  sync.Once
	closeErr error
	ill      atomic.Int64 // when trouble was last logged, in nanoseconds; 0: none
}

// Open opens a queue, makes its tables if they are missing, picks up what was
// interrupted, and begins to deliver. With neither Relay nor Client in cfg it
// delivers nothing, and is for enqueuing and for looking after.
//
// The error is a *[ConfigError], [ErrInUse] when another process has the SQLite
// file open, a [*SchemaError] when the database was made by a newer version, or
// one of the database.
func Open(ctx context.Context, cfg Config) (*Queue, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	q := &Queue{cfg: cfg, log: cfg.Logger}
	q.intake.q = q
	if err := q.open(ctx, true); err != nil {
		return nil, err
	}
	if !cfg.delivers() {
		return q, nil
	}
	if err := q.start(ctx); err != nil {
		_ = q.Close()
		return nil, err
	}
	return q, nil
}

// Attach opens a queue that exists and that another process may be delivering
// from: to enqueue, to look into it, to hold, retry and drop. It delivers
// nothing. Of cfg only Database, Schema, Route, Policy, MaxSize, DelayAfter and
// Logger count. The errors are those of Open, but for ErrInUse; where there is no queue
// yet it is an [fs.ErrNotExist], and Open makes one.
func Attach(ctx context.Context, cfg Config) (*Queue, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	q := &Queue{cfg: cfg, log: cfg.Logger}
	q.intake.q = q
	if err := q.open(ctx, false); err != nil {
		return nil, err
	}
	return q, nil
}

func (q *Queue) open(ctx context.Context, exclusive bool) (err error) {
	// What River logs of itself is for those who debug it.
	quiet := slog.New(levelHandler{q.log.Handler(), slog.LevelWarn})
	q.riverQueue = mailQueue
	switch db := q.cfg.Database; {
	case strings.HasPrefix(db, "postgres://"), strings.HasPrefix(db, "postgresql://"):
		q.node = q.cfg.Node + "-" + random()
		q.riverQueue = mailQueue + "_" + random()
		q.e, err = openPostgres(ctx, db, q.cfg.Schema, q.cfg.Workers, quiet)
	case strings.Contains(db, "://"):
		return &ConfigError{Field: "Config.Database", Reason: "is neither a path nor the URL of a PostgreSQL database"}
	case q.cfg.Schema != "":
		return &ConfigError{Field: "Config.Schema", Reason: "is set, but SQLite has none"}
	default:
		q.e, err = openSQLite(ctx, db, exclusive, exclusive && q.cfg.delivers(), quiet)
	}
	if err != nil {
		return err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	if err := q.e.migrate(ctx, exclusive); err != nil {
		err = q.e.explain(err)
		_ = q.e.close()
		return err
	}
	return nil
}

// start begins to deliver.
func (q *Queue) start(ctx context.Context) error {
	q.clients = &clients{cfg: &q.cfg, kept: map[string]*keptClient{}}
	q.d, q.teller = newDispatcher(q), newTeller(q)
	stop, stopping := context.WithCancel(context.Background())
	leave, leaving := context.WithCancel(context.Background())
	q.stopping, q.leaving = stopping, leaving
	q.recorder = newRecorder(leave, q)
	if err := q.pickUp(ctx); err != nil {
		close(q.d.over)
		close(q.teller.over)
		return q.e.explain(err)
	}
	queues := map[string]int{mailQueue: q.cfg.Workers}
	if q.riverQueue != mailQueue {
		queues = map[string]int{q.riverQueue: q.cfg.Workers, mailQueue: min(q.cfg.Workers, 10)}
	}
	id := q.node
	if id == "" {
		id = q.cfg.Node
	}
	if err := q.e.start(ctx, &workers{id: id, queues: queues, work: q.work, keep: q.cfg.Keep}); err != nil {
		close(q.d.over)
		close(q.teller.over)
		return err
	}
	go q.d.run(stop)
	go q.teller.run(stop)
	q.teller.wake()
	return nil
}

// pickUp takes over what was interrupted.
func (q *Queue) pickUp(ctx context.Context) error {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	if pg, ok := q.e.(*postgresEngine); ok {
		var err error
		q.nodes, err = newNodes(ctx, q, pg)
		if err != nil {
			return err
		}
		return q.nodes.look(ctx)
	}
	if err := q.takeOver(ctx, []string{q.node}); err != nil {
		return err
	}
	return q.e.(*sqliteEngine).sent.clear()
}

// Close ends the queue: nothing more is claimed, attempts that are under way go
// on for Config.Grace and are then broken off, and what they have settled is
// recorded. What is left waits for the next Open.
func (q *Queue) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), q.grace())
	defer cancel()
	return q.Shutdown(ctx)
}

func (q *Queue) grace() time.Duration { return q.cfg.Grace }

// Shutdown is Close that breaks attempts off when ctx ends.
func (q *Queue) Shutdown(ctx context.Context) error {
	q.closing.Do(func() { q.closeErr = q.shutdown(ctx) })
	return q.closeErr
}

func (q *Queue) shutdown(ctx context.Context) error {
	if q.d == nil {
		return q.e.close()
	}
	q.d.mu.Lock()
	q.d.stopped = true
	q.d.mu.Unlock()
	q.stopping()
	<-q.d.over
	<-q.teller.over
	err := q.e.stop(ctx)
	if pgErr := q.putBack(); err == nil {
		err = pgErr
	}
	q.leaving()
	<-q.recorder.over
	q.clients.close()
	if q.nodes != nil {
		q.nodes.leave()
	}
	return errors.Join(err, q.e.close())
}

// putBack gives up what was claimed and not begun.
func (q *Queue) putBack() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return q.e.explain(q.takeOver(ctx, []string{q.node}))
}

// SQLite returns the database of a queue on SQLite: begin on it the transactions
// for [Queue.EnqueueTx], and keep tables of your own in it if you like. It has
// one connection; everything else on the queue waits while it is in use. nil on
// PostgreSQL.
func (q *Queue) SQLite() *sql.DB {
	if e, ok := q.e.(*sqliteEngine); ok {
		return e.writer
	}
	return nil
}

// Postgres returns the connections of a queue on PostgreSQL. Transactions for
// [Queue.EnqueueTx] may be begun on these or on the caller's own. nil on SQLite.
func (q *Queue) Postgres() *pgxpool.Pool {
	if e, ok := q.e.(*postgresEngine); ok {
		return e.pool
	}
	return nil
}

// trouble logs what keeps the queue from working, not more than once a second.
func (q *Queue) trouble(err error, what string, args ...any) {
	now := time.Now().UnixNano()
	if last := q.ill.Swap(now); now-last > int64(time.Second) {
		q.log.Error("queue: "+what, append(args, "error", q.e.explain(err))...)
	}
}

func (q *Queue) untroubled() { q.ill.Store(0) }

func random() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// A levelHandler passes on what is at least of a level.
type levelHandler struct {
	slog.Handler
	least slog.Level
}

func (h levelHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.least && h.Handler.Enabled(ctx, l)
}

func (h levelHandler) WithAttrs(as []slog.Attr) slog.Handler {
	return levelHandler{h.Handler.WithAttrs(as), h.least}
}

func (h levelHandler) WithGroup(name string) slog.Handler {
	return levelHandler{h.Handler.WithGroup(name), h.least}
}
