// Package storetest holds stores of shared limits to what [smtpretry.Store]
// promises, and fleets of processes that use one to their limit.
package storetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
)

// long is more than any store keeps a test's values.
const long = time.Hour

// Conform tests a store for what the interface promises. Open opens the same one
// anew, over connections of its own.
func Conform(t *testing.T, open func(t testing.TB) smtpretry.Store) {
	key := func(t *testing.T) string { return strings.ToLower(t.Name()) + time.Now().Format(".150405.000000") }

	t.Run("KeepsWhatItIsGiven", func(t *testing.T) {
		s, key := open(t), key(t)
		for i, want := range [][]byte{nil, {0}, []byte("two"), bytes.Repeat([]byte{0, 255, '\n', '\''}, 5000)} {
			err := s.Update(t.Context(), key, func(stored []byte, _ time.Time) ([]byte, time.Duration, error) {
				if !bytes.Equal(stored, want) {
					t.Errorf("update %d finds %q, want %q", i, stored, want)
				}
				return [][]byte{{0}, []byte("two"), bytes.Repeat([]byte{0, 255, '\n', '\''}, 5000), {1}}[i], long, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		err := open(t).Update(t.Context(), key, func(stored []byte, _ time.Time) ([]byte, time.Duration, error) {
			if !bytes.Equal(stored, []byte{1}) {
				t.Errorf("another connection finds %q", stored)
			}
			return stored, long, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})

	t.Run("KeepsNothingAfterAnError", func(t *testing.T) {
		s, key := open(t), key(t)
		Set(t, s, key, []byte("before"))
		refused := errors.New("refused")
		for range 3 {
			err := s.Update(t.Context(), key, func([]byte, time.Time) ([]byte, time.Duration, error) { return []byte("after"), long, refused })
			if !errors.Is(err, refused) {
				t.Errorf("Update = %v, want what change returned", err)
			}
		}
		if got := get(t, s, key); string(got) != "before" {
			t.Errorf("it keeps %q", got)
		}
	})

	t.Run("IsOneStep", func(t *testing.T) {
		key := key(t)
		const processes, each = 8, 50
		var wg sync.WaitGroup
		for range processes {
			s := open(t)
			wg.Go(func() {
				for range each {
					var n uint64
					err := s.Update(t.Context(), key, func(stored []byte, now time.Time) ([]byte, time.Duration, error) {
						next := make([]byte, 16)
						if len(stored) == 16 {
							if n = binary.BigEndian.Uint64(stored); int64(binary.BigEndian.Uint64(stored[8:])) > now.UnixNano() { //nolint:gosec // as it was written
								t.Errorf("the time goes back to %v", now)
							}
						}
						binary.BigEndian.PutUint64(next, n+1)
						binary.BigEndian.PutUint64(next[8:], uint64(now.UnixNano())) //nolint:gosec // likewise
						return next, long, nil
					})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		if got := get(t, open(t), key); len(got) != 16 || binary.BigEndian.Uint64(got) != processes*each {
			t.Errorf("%d updates left %x", processes*each, got)
		}
	})

	t.Run("TellsTheTime", func(t *testing.T) {
		s, key := open(t), key(t)
		var times []time.Time
		begin := time.Now()
		for range 3 {
			err := s.Update(t.Context(), key, func(_ []byte, now time.Time) ([]byte, time.Duration, error) {
				times = append(times, now)
				time.Sleep(20 * time.Millisecond)
				return []byte("x"), long, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		took := time.Since(begin)
		if d := times[2].Sub(times[0]); d < 40*time.Millisecond || d > took {
			t.Errorf("its clock went on by %v in %v", d, took)
		}
		if d := time.Since(times[2]); d < -time.Minute || d > time.Minute {
			t.Errorf("its clock on this machine is %v behind", d)
		}
	})

	t.Run("EndsWithItsContext", func(t *testing.T) {
		s, key := open(t), key(t)
		held, done := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		defer wg.Wait()
		defer close(done)
		wg.Go(func() {
			_ = s.Update(context.WithoutCancel(t.Context()), key, func([]byte, time.Time) ([]byte, time.Duration, error) {
				select {
				case <-held: // an optimistic store calls it again
				default:
					close(held)
				}
				<-done
				return []byte("late"), long, nil
			})
		})
		<-held
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := open(t).Update(ctx, key, func([]byte, time.Time) ([]byte, time.Duration, error) { return []byte("x"), long, nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("Update = %v, want the context's error", err)
		}
	})

	t.Run("TellsHostsApart", func(t *testing.T) {
		s, key := open(t), key(t)
		for i := range 5 {
			Set(t, s, fmt.Sprint(key, i), fmt.Append(nil, i))
		}
		for i := range 5 {
			if got := get(t, s, fmt.Sprint(key, i)); string(got) != strconv.Itoa(i) {
				t.Errorf("host %d has %q", i, got)
			}
		}
	})
}

// Set stores a value for an hour.
func Set(t testing.TB, s smtpretry.Store, key string, value []byte) {
	t.Helper()
	err := s.Update(t.Context(), key, func([]byte, time.Time) ([]byte, time.Duration, error) { return value, long, nil })
	if err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s smtpretry.Store, key string) (value []byte) {
	t.Helper()
	err := s.Update(t.Context(), key, func(stored []byte, _ time.Time) ([]byte, time.Duration, error) {
		value = bytes.Clone(stored)
		return stored, long, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}
