package redisstore_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/storetest"
	"github.com/smtpretry/smtpretry/store/redisstore"
)

var stopRedis func() error

var server = sync.OnceValues(func() (string, error) {
	if url := os.Getenv("REDIS_URL"); url != "" {
		return url, nil
	}
	url, stop, err := startRedis()
	stopRedis = stop
	return url, err
})

func TestMain(m *testing.M) {
	storetest.Main(func(_ context.Context, where string) (smtpretry.Store, error) {
		url, account, _ := strings.Cut(where, " ")
		c, err := connect(url)
		if err != nil {
			return nil, err
		}
		return redisstore.New(c, redisstore.Options{Account: account}), nil
	})
	code := m.Run()
	if stopRedis != nil {
		if err := stopRedis(); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

func connect(url string) (*redis.Client, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	return redis.NewClient(o), nil
}

// place is where the test's server is, and an account of its own.
func place(t testing.TB) (url, account string) {
	t.Helper()
	url, err := server()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	account = fmt.Sprintf("test/%d/%s/%d", os.Getpid(), strings.ReplaceAll(t.Name(), " ", "_"), time.Now().UnixNano())
	t.Cleanup(func() {
		c, err := connect(url)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		keys := c.Scan(context.Background(), 0, "*"+account+"*", 0).Iterator()
		for keys.Next(context.Background()) {
			c.Del(context.Background(), keys.Val())
		}
		if err := keys.Err(); err != nil {
			t.Error(err)
		}
	})
	return url, account
}

// open returns the store at a place, and the client that it uses.
func open(t testing.TB, url, account string) (*redis.Client, smtpretry.Store) {
	t.Helper()
	c, err := connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, redisstore.New(c, redisstore.Options{Account: account})
}

func opener(t testing.TB) func(testing.TB) smtpretry.Store {
	url, account := place(t)
	return func(t testing.TB) smtpretry.Store {
		_, s := open(t, url, account)
		return s
	}
}

func TestConform(t *testing.T) { storetest.Conform(t, opener(t)) }

// What is of no interest any more goes by itself.
func TestExpires(t *testing.T) {
	url, account := place(t)
	c, s := open(t, url, account)
	storetest.Set(t, s, "host.example", []byte("x"))
	left, err := c.PTTL(t.Context(), "smtpretry:limits:"+account+":host.example").Result()
	if err != nil || left <= 59*time.Minute || left > time.Hour {
		t.Errorf("it is kept for another %v (%v), want an hour", left, err)
	}
}

// A server that has lost the scripts, as after a restart or a failover, is given
// them again.
func TestScriptsLost(t *testing.T) {
	url, account := place(t)
	c, s := open(t, url, account)
	for i := range 3 {
		err := s.Update(t.Context(), "host.example", func(stored []byte, _ time.Time) ([]byte, time.Duration, error) {
			if len(stored) != i {
				t.Errorf("update %d finds %q", i, stored)
			}
			if err := c.ScriptFlush(t.Context()).Err(); err != nil {
				t.Error(err)
			}
			return append(stored, 'x'), time.Hour, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestFleet: eight processes use one limit and never more, while one of them is
// killed.
func TestFleet(t *testing.T) {
	url, account := place(t)
	storetest.TestFleet(t, url+" "+account)
}

// TestFleetAway: while the server is away nothing is sent, or each process keeps to
// its stated part; and then no more comes than before.
func TestFleetAway(t *testing.T) {
	url, account := place(t)
	storetest.TestFleetAway(t, url, " "+account)
}

// What a fleet can decide in a second: 8 connections, one host.
func BenchmarkDecisions(b *testing.B) { storetest.Decisions(b, opener(b)) }

// The Example, which go test does not run, as it needs a server.
func TestExample(t *testing.T) {
	url, _ := place(t)
	t.Setenv("REDIS_URL", url)
	Example()
}
