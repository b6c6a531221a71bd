package pgstore_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/storetest"
	"github.com/smtpretry/smtpretry/store/pgstore"
)

// A server is the throw-away PostgreSQL.
type server interface {
	Close() error
	PostgresURL(database string) string
	AwaitPostgres(ready func(url string) error) error
}

var own server // nil: DATABASE_URL is used, or none was needed

var postgres = sync.OnceValues(func() (string, error) {
	if url := os.Getenv("DATABASE_URL"); url != "" {
		return url, nil
	}
	s, err := startPostgres()
	if err != nil {
		return "", err
	}
	own = s
	return s.PostgresURL("postgres"), await(s)
})

func await(s server) error {
	return s.AwaitPostgres(func(url string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		pool, err := pgxpool.New(ctx, url)
		if err != nil {
			return err
		}
		defer pool.Close()
		return pool.Ping(ctx)
	})
}

func TestMain(m *testing.M) {
	storetest.Main(func(ctx context.Context, where string) (smtpretry.Store, error) {
		url, table, _ := strings.Cut(where, " ")
		return open(ctx, url, table, pgstore.Options{})
	})
	code := m.Run()
	if own != nil {
		if err := own.Close(); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

func open(ctx context.Context, url, table string, o pgstore.Options) (smtpretry.Store, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, err
	}
	o.Table = table
	return pgstore.New(ctx, pool, o)
}

var tables atomic.Int32

// place is a table of a test's own: its database and its name.
func place(t testing.TB) (url, table string) {
	t.Helper()
	url, err := postgres()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	table = fmt.Sprintf("limits_%d_%d", os.Getpid(), tables.Add(1))
	t.Cleanup(func() {
		pool, err := pgxpool.New(context.Background(), url)
		if err != nil {
			t.Error(err)
			return
		}
		defer pool.Close()
		if _, err := pool.Exec(context.Background(), "DROP TABLE IF EXISTS "+table); err != nil {
			t.Error(err)
		}
	})
	return url, table
}

func opener(t testing.TB, o pgstore.Options) func(testing.TB) smtpretry.Store {
	url, table := place(t)
	return func(t testing.TB) smtpretry.Store {
		t.Helper()
		pool, err := pgxpool.New(context.Background(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		o.Table = table
		s, err := pgstore.New(context.Background(), pool, o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func TestConform(t *testing.T) {
	storetest.Conform(t, opener(t, pgstore.Options{}))
}

func TestConformDurable(t *testing.T) {
	storetest.Conform(t, opener(t, pgstore.Options{Durable: true, Account: "o'ne"}))
}

// with adds a setting to a database's URL.
func with(url, setting string) string {
	if strings.Contains(url, "?") {
		return url + "&" + setting
	}
	return url + "?" + setting
}

// A table that is there can be used without the right to make one.
func TestNoRight(t *testing.T) {
	url, table := place(t)
	if _, err := open(t.Context(), url, table, pgstore.Options{}); err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	role := table + "_user"
	for _, command := range []string{"CREATE ROLE " + role, "REVOKE CREATE ON SCHEMA public FROM PUBLIC", "GRANT SELECT, INSERT, UPDATE, DELETE ON " + table + " TO " + role} {
		if _, err := pool.Exec(t.Context(), command); err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		if _, err := pool.Exec(context.Background(), "DROP OWNED BY "+role+"; DROP ROLE "+role); err != nil {
			t.Error(err)
		}
	}()
	s, err := open(t.Context(), with(url, "role="+role), table, pgstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Set(t, s, "host.example", []byte("x"))
}

// It works the same whatever the database's default isolation is, and however pgx
// is told to talk, as a pooler in transaction mode needs it.
func TestConformSettings(t *testing.T) {
	for name, more := range map[string]string{
		"serializable":    "default_transaction_isolation=serializable",
		"repeatable read": "default_transaction_isolation=repeatable%20read",
		"exec":            "default_query_exec_mode=exec",
		"simple protocol": "default_query_exec_mode=simple_protocol",
	} {
		t.Run(name, func(t *testing.T) {
			url, table := place(t)
			storetest.Conform(t, func(t testing.TB) smtpretry.Store {
				t.Helper()
				s, err := open(t.Context(), with(url, more), table, pgstore.Options{})
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}

// Accounts do not share.
func TestAccounts(t *testing.T) {
	url, table := place(t)
	for i, account := range []string{"a", "b", ""} {
		s, err := open(t.Context(), url, table, pgstore.Options{Account: account})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Update(t.Context(), "host.example", func(stored []byte, _ time.Time) ([]byte, time.Duration, error) {
			if len(stored) > 0 {
				t.Errorf("account %d finds what another has stored: %q", i, stored)
			}
			return []byte(account + "!"), time.Hour, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A table in a schema that is not there, or without the right to make one, is a
// clear error.
func TestNoTable(t *testing.T) {
	url, _ := place(t)
	if _, err := open(t.Context(), url, "nowhere.limits", pgstore.Options{}); err == nil || !strings.Contains(err.Error(), `"nowhere"."limits"`) {
		t.Errorf("New = %v, want an error that names the table", err)
	}
}

// What is of no interest any more is removed.
func TestSweep(t *testing.T) {
	url, table := place(t)
	s, err := open(t.Context(), url, table, pgstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), "INSERT INTO "+table+" SELECT '', 'old' || n, '', now(), now() - interval '1 s' FROM generate_series(1, 900) n"); err != nil {
		t.Fatal(err)
	}
	storetest.Set(t, s, "host.example", []byte("x"))
	var left int
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&left); err != nil || left != 1 {
		t.Errorf("%d rows are left (%v), want the one in use", left, err)
	}
}

// A process that vanishes in the middle of an update, with its connection still
// there, does not hold up the others for ever.
func TestSuspended(t *testing.T) {
	s := opener(t, pgstore.Options{})(t)
	held, end := make(chan struct{}), make(chan struct{})
	var asleep sync.WaitGroup
	asleep.Go(func() {
		err := s.Update(context.Background(), "host.example", func([]byte, time.Time) ([]byte, time.Duration, error) {
			close(held)
			<-end
			return []byte("late"), time.Hour, nil
		})
		if err == nil {
			t.Error("an update is kept whose lock was lost")
		}
	})
	<-held
	begin := time.Now()
	for {
		err := s.Update(t.Context(), "host.example", func([]byte, time.Time) ([]byte, time.Duration, error) { return []byte("x"), time.Hour, nil })
		if err == nil {
			break
		}
		if time.Since(begin) > time.Minute {
			t.Fatal(err)
		}
	}
	t.Logf("the row was free after %v", time.Since(begin).Round(time.Millisecond))
	close(end)
	asleep.Wait()
}

// TestFleet: eight processes use one limit and never more, while one of them is
// killed.
func TestFleet(t *testing.T) {
	url, table := place(t)
	storetest.TestFleet(t, url+" "+table)
}

// TestFleetAway: while the database is away nothing is sent, or each process keeps
// to its stated part; and then no more comes than before.
func TestFleetAway(t *testing.T) {
	url, table := place(t)
	storetest.TestFleetAway(t, url, " "+table)
}

// What a fleet can decide in a second: 8 connections, one host.
func BenchmarkDecisions(b *testing.B) {
	for _, o := range []pgstore.Options{{}, {Durable: true}} {
		b.Run(fmt.Sprintf("durable=%v", o.Durable), func(b *testing.B) { storetest.Decisions(b, opener(b, o)) })
	}
}

// The Example, which go test does not run, as it needs a server.
func TestExample(t *testing.T) {
	url, _ := place(t)
	t.Setenv("DATABASE_URL", url)
	Example()
}
