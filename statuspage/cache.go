package statuspage

import (
	"sync"
	"time"
)

// A cache holds what is costly to find out, so that all who look at about the
// same time see the same: for a second, or longer if it took long, so that it
// never costs more than a part of one core.
type cache[T any] struct {
	mu    sync.Mutex
	value T
	until time.Time
}

const (
	cacheTime = time.Second
	cacheRest = 20 // times as long as it took
)

// get returns what is held, or what find finds. Errors are not kept.
func (c *cache[T]) get(find func() (T, error)) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	begin := time.Now()
	if begin.Before(c.until) {
		return c.value, nil
	}
	value, err := find()
	if err != nil {
		return value, err
	}
	c.value, c.until = value, begin.Add(max(cacheTime, cacheRest*time.Since(begin)))
	return value, nil
}

// forget makes the next get find out.
func (c *cache[T]) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = time.Time{}
}
