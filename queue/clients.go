package queue

import (
	"sync"
	"time"

	"github.com/smtpretry/smtpretry"
)

// clientRest is how long a destination's client is kept without use.
const clientRest = 10 * time.Minute

// clients keeps one client for each destination in use.
type clients struct {
	cfg  *Config
	mu   sync.Mutex
	kept map[string]*keptClient
}

type keptClient struct {
	once  sync.Once
	c     *smtpretry.Client
	err   error
	users int
	used  time.Time
}

// get returns the client of a host. It is not closed before release is called.
func (cs *clients) get(host string) (c *smtpretry.Client, release func(), err error) {
	if cs.cfg.Relay != nil {
		return cs.cfg.Relay, func() {}, nil
	}
	cs.mu.Lock()
	k := cs.kept[host]
	if k == nil {
		k = &keptClient{}
		cs.kept[host] = k
	}
	k.users++
	cs.mu.Unlock()
	release = func() {
		cs.mu.Lock()
		defer cs.mu.Unlock()
		k.users--
		k.used = time.Now()
		if k.err != nil && cs.kept[host] == k {
			delete(cs.kept, host) // asked for again
		}
	}
	// Of several at once, one makes it, and no other host waits.
	k.once.Do(func() {
		k.c, k.err = cs.cfg.Client(host)
		if k.err == nil && k.c == nil {
			k.err = &ConfigError{Field: "Config.Client", Reason: "gave no client for " + host}
		}
	})
	if k.err != nil {
		release()
		return nil, nil, k.err
	}
	return k.c, release, nil
}

// closeIdle closes those that have not been used for a while.
func (cs *clients) closeIdle(now time.Time) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for host, k := range cs.kept {
		if k.users == 0 && now.Sub(k.used) > clientRest {
			delete(cs.kept, host)
			go k.c.Close() // it says QUIT
		}
	}
}

func (cs *clients) close() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, k := range cs.kept {
		if k.c != nil {
			_ = k.c.Close()
		}
	}
	clear(cs.kept)
}
