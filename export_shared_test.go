package smtpretry

import (
	"context"
	"fmt"
	"time"
)

// Skew makes l's process one whose clock is wrong by d.
func (l *Limiter) Skew(d time.Duration) {
	l.init()
	l.base = l.base.Add(d)
}

// Void says whether the store may have given away what g holds.
func (g *permit) Void() bool { return g.void() }

// TryAcquire is acquire without waiting.
func (p *pool) TryAcquire(rcpts int) (*Permit, error) {
	w := new(waiter).stand(p, time.Now(), time.Time{}, rcpts)
	w.once = true
	return w.acquire(context.Background(), nil)
}

// Farewell waits until the store knows what was given back.
func (p *pool) Farewell() { p.host.farewell() }

// Nodes lists the processes that hold something, by what is stored.
func Nodes(stored []byte) ([]string, error) {
	s, _, err := decodeShared(stored, 0, 0)
	var names []string
	for _, n := range s.nodes {
		names = append(names, fmt.Sprintf("%s %+v", n.name, n.share))
	}
	return names, err
}
