package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

// An engine is a database with River's tables and ours in it: SQLite or
// PostgreSQL. Everything that differs between the two is behind it; all SQL but
// the schema is written once, with $1 for the first argument and {name} for
// what a dialect spells out.
type engine interface {
	dialect() *dialect

	// begin starts a transaction. A durable one is on disk when its commit
	// returns; another may be lost when the machine (not the process) dies.
	begin(ctx context.Context, durable bool) (transaction, error)

	// join makes a transaction of the caller's ours.
	join(tx any) (transaction, error)

	// reader runs single statements outside a transaction.
	reader() querier

	// insertJobs inserts River jobs and returns their ids, in order.
	insertJobs(ctx context.Context, tx transaction, jobs []river.InsertManyParams) ([]int64, error)

	// notify tells this process's workers, when tx is committed, that there are
	// jobs in a queue.
	notify(ctx context.Context, tx transaction, queue string) error

	// migrate brings River's tables and ours up to date, and makes them if they
	// are missing; or else says whether ours are such as this program knows.
	migrate(ctx context.Context, make bool) error

	// journal keeps what servers have accepted until it is recorded.
	journal() journal

	// start works the jobs of the named queues; stop ends that, gently until
	// ctx ends.
	start(ctx context.Context, w *workers) error
	stop(ctx context.Context) error

	// explain gives an error of the database the names of errors.go.
	explain(err error) error

	close() error
}

// A querier reads.
type querier interface {
	query(ctx context.Context, sql string, args ...any) (rows, error)
}

// A transaction reads and writes. One that is the caller's is never committed here.
type transaction interface {
	querier
	exec(ctx context.Context, sql string, args ...any) (int64, error)
	execAll(ctx context.Context, all []statement) ([]int64, error) // in order, in one round trip where there is one
	commit(ctx context.Context) error
	rollback()
}

// A statement is one to be executed, with its arguments.
type statement struct {
	sql  string
	args []any
}

type rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close() error
}

// scan reads all rows.
func scan(r rows, err error, each func(rows) error) error {
	if err != nil {
		return err
	}
	defer r.Close()
	for r.Next() {
		if err := each(r); err != nil {
			return err
		}
	}
	return r.Err()
}

// within runs f in a transaction and commits it.
func within(ctx context.Context, e engine, durable bool, f func(transaction) error) error {
	tx, err := e.begin(ctx, durable)
	if err != nil {
		return e.explain(err)
	}
	if err := f(tx); err != nil {
		tx.rollback()
		return e.explain(err)
	}
	return e.explain(tx.commit(ctx))
}

// A dialect is the words in which two databases differ.
type dialect struct {
	words *strings.Replacer
	list  func(ids []int64) any // the argument of {in:$n:in}
	said  sync.Map              // what was asked for before
}

// newDialect returns the dialect of a database whose tables are in schema,
// which may be empty. SQLite has lists of values as JSON, PostgreSQL as arrays.
func newDialect(postgres bool, schema string) *dialect {
	prefix := ""
	if schema != "" {
		prefix = pgx.Identifier{schema}.Sanitize() + "."
	}
	words := []string{
		"{mail}", prefix + "smtpretry_mail",
		"{body}", prefix + "smtpretry_body",
		"{key}", prefix + "smtpretry_key",
		"{hold}", prefix + "smtpretry_hold",
		"{node}", prefix + "smtpretry_node",
		"{notice}", prefix + "smtpretry_notice",
		"{accepted}", prefix + "smtpretry_accepted",
		"{schema}", prefix + "smtpretry_schema",
		"{job}", prefix + "river_job",
	}
	d := &dialect{}
	if postgres {
		words = append(words,
			"{in:", "= ANY(", ":in}", "::bigint[])",
			"{now}", "now()",
			"{skip}", "FOR UPDATE SKIP LOCKED",
			"{least}", "LEAST", "{greatest}", "GREATEST",
			"{id}", "bigserial PRIMARY KEY", "{same id}", "bigint PRIMARY KEY",
			"{blob}", "bytea",
			"{when $3}", "to_timestamp($3::bigint / 1000000.0)",
			"{add error}", "errors = array_append(errors, $2::text::jsonb)",
		)
		d.list = func(ids []int64) any { return ids }
	} else {
		words = append(words,
			"{in:", "IN (SELECT value FROM json_each(", ":in}", "))",
			"{now}", "datetime('now', 'subsec')",
			"{skip}", "",
			"{least}", "min", "{greatest}", "max",
			"{id}", "integer PRIMARY KEY AUTOINCREMENT", "{same id}", "integer PRIMARY KEY",
			"{blob}", "blob",
			"{when $3}", "datetime($3 / 1000000.0, 'unixepoch', 'subsec')",
			"{add error}", "errors = jsonb_insert(coalesce(errors, jsonb('[]')), '$[#]', jsonb($2))",
		)
		d.list = func(ids []int64) any {
			b, _ := json.Marshal(ids) // numbers
			return string(b)
		}
	}
	d.words = strings.NewReplacer(words...)
	return d
}

// say puts the dialect's words into a statement.
func (d *dialect) say(sql string) string {
	if s, ok := d.said.Load(sql); ok {
		return s.(string)
	}
	s := d.words.Replace(sql)
	d.said.Store(sql, s)
	return s
}

// sqlRows adapts database/sql.
type sqlRows struct{ *sql.Rows }

// pgRows adapts pgx.
type pgRows struct{ pgx.Rows }

func (r pgRows) Close() error {
	r.Rows.Close()
	return nil
}
