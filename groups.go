package smtpretry

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// ungroupedFor is how long a server that lost commands is sent one at a time.
const ungroupedFor = time.Hour

// ruleNoGroups is the rule for a server that offers PIPELINING and cannot.
const ruleNoGroups = "no-pipelining"

// A groups remembers whether a server that offers PIPELINING keeps to it. Its
// methods are safe for concurrent use; of a nil one, it does not.
type groups struct {
	mu     sync.Mutex
	proven bool      // the last group was answered whole
	until  time.Time // one command at a time until then
}

// may says whether commands may go out in a group.
func (g *groups) may() bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.until.IsZero() || !time.Now().Before(g.until)
}

// took notes a group that was answered whole.
func (g *groups) took() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.proven = true
}

// failed notes one that was not, and says whether that is to be put down to
// its having been a group: if groups had worked before, once is chance.
func (g *groups) failed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.proven {
		g.proven = false
		return false
	}
	g.until = time.Now().Add(ungroupedFor)
	return true
}

// isLost says whether err, met in place of the reply to a command that was in
// its place, can come of commands having been lost.
func isLost(err error) bool {
	var r *smtp.SMTPError
	if !errors.As(err, &r) {
		return isNetwork(err)
	}
	words := strings.ToLower(r.Message)
	return r.Code == 503 || strings.Contains(words, "pipelin") || strings.Contains(words, "synchroni")
}
