package redisstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options say where a [Store] keeps things. The zero value is useful.
type Options struct {
	// Prefix begins every key; empty: "smtpretry:limits:".
	Prefix string

	// Account tells apart those who may each send as much as the limit says,
	// such as accounts of one provider, or sending addresses. Limiters share
	// their limits if they name the same one. It may be empty.
	Account string
}

// A Store is a [smtpretry.Store] in Redis. It is safe for concurrent use, and for
// use by any number of processes with the same server and prefix.
type Store struct {
	client redis.Scripter
	prefix string
}

// New returns a Store that uses client, which stays the caller's: a
// [redis.Client], a [redis.ClusterClient], or a [redis.UniversalClient] of either.
func New(client redis.Scripter, o Options) *Store {
	if o.Prefix == "" {
		o.Prefix = "smtpretry:limits:"
	}
	return &Store{client: client, prefix: o.Prefix + o.Account + ":"}
}

// What is stored and the time are read in one step: a time from before another
// process's change would seem to go back.
var read = redis.NewScript(`return {redis.call('GET', KEYS[1]), redis.call('TIME')}`)

// What is stored is replaced if it is what was read. It names the moment of the
// last change and who has what, so that the same bytes are the same state.
var replace = redis.NewScript(`
local stored = redis.call('GET', KEYS[1])
if (stored or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`)

// Update implements [smtpretry.Store].
func (s *Store) Update(ctx context.Context, host string, change func(stored []byte, now time.Time) ([]byte, time.Duration, error)) error {
	key := []string{s.prefix + host}
	for tries := 1; ; tries++ {
		stored, now, err := s.read(ctx, key)
		if err != nil {
			return fmt.Errorf("redisstore: %w", err)
		}
		next, keep, err := change(stored, now)
		if err != nil {
			return err
		}
		done, err := replace.Run(ctx, s.client, key, stored, next, max(keep.Milliseconds(), 1)).Int()
		if err != nil {
			return fmt.Errorf("redisstore: %w", err)
		}
		if done == 1 {
			return nil
		}
		// Somebody was faster. Whoever was often beaten lets others go first no
		// longer than it takes.
		select {
		case <-time.After(time.Duration(rand.Int64N(int64(min(tries, 8)) * int64(100*time.Microsecond)))):
		case <-ctx.Done():
			return fmt.Errorf("redisstore: %d times another process was faster: %w", tries, ctx.Err())
		}
	}
}

var errOdd = errors.New("the server's answer is not as expected")

func (s *Store) read(ctx context.Context, key []string) (stored []byte, now time.Time, err error) {
	list, err := read.Run(ctx, s.client, key).Slice()
	if err != nil {
		return nil, now, err
	}
	if len(list) != 2 {
		return nil, now, errOdd
	}
	if text, ok := list[0].(string); ok {
		stored = []byte(text)
	}
	clock, ok := list[1].([]any)
	if !ok || len(clock) != 2 {
		return nil, now, errOdd
	}
	var parts [2]int64
	for i, x := range clock {
		text, _ := x.(string)
		if parts[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, now, errOdd
		}
	}
	return stored, time.Unix(parts[0], parts[1]*1000), nil
}
