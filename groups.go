package smtpretry

import (
	"strings"
	"sync"
	"time"
)

// ungroupedFor is how long a server that lost commands is sent one at a time.
const ungroupedFor = time.Hour

// ruleNoGroups is the rule for a server that offers PIPELINING and cannot.
const ruleNoGroups = "no-pipelining"

// A groups remembers whether a server that offers PIPELINING keeps to it, for
// each place of a group. Its methods are safe for concurrent use; of a nil one,
// it does not.
type groups struct {
	mu    sync.Mutex
	known [2]struct {
		proven bool      // the last group was answered whole
		until  time.Time // no groups until then
	}
}

// A groupPlace is what stands before a group.
type groupPlace uint8

const (
	within groupPlace = iota // nothing: it is the first of its transaction
	behind                   // the final dot of another message
)

// may says whether commands may go out in a group.
func (g *groups) may(at groupPlace) bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	until := g.known[at].until
	return until.IsZero() || !time.Now().Before(until)
}

// took notes a group that was answered whole.
func (g *groups) took(at groupPlace) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known[at].proven = true
}

// failed notes one that was not, and says whether that is to be put down to
// its having been a group: if groups had worked before, once is chance.
func (g *groups) failed(at groupPlace) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known[at].proven {
		g.known[at].proven = false
		return false
	}
	g.known[at].until = time.Now().Add(ungroupedFor)
	return true
}

// isLost says whether err, met in place of the reply to a command that was in
// its place, can come of commands having been lost.
func isLost(err error) bool {
	r := asReply(err)
	if r == nil {
		return isNetwork(err)
	}
	words := strings.ToLower(r.Message)
	return r.Code == 503 || strings.Contains(words, "pipelin") || strings.Contains(words, "synchroni")
}
