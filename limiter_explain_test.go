package smtpretry_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
)

func TestExplain(t *testing.T) {
	set := smtpretry.Limit{
		Rate: smtpretry.PerMinute(6), Burst: 2, Recipients: 10, Quotas: []smtpretry.Quota{{N: 3, Per: time.Hour}},
		RecipientQuotas: []smtpretry.Quota{{N: 100, Per: 24 * time.Hour}}, NewConns: 1, MaxConns: 1, PerConn: 20, PerMessage: 50,
	}
	for _, c := range []struct {
		name string
		host string
		def  smtpretry.Limit
		use  func(t *testing.T, l *smtpretry.Limiter)
		want string // the start of the text is at 2000-01-01 00:00:00 UTC
	}{
		{"unknown host", "host.example", smtpretry.Limit{}, nil, `
host.example: a message may start now.
Waiting: 0. Connections: 0 open, 0 of them idle. Tokens: 3.0.
Rate 2/s: learned (nothing was refused so far, and it climbs).
Burst 3: learned (nothing was refused so far, and it climbs).
`},
		{"told that there is none", "host.example", smtpretry.Limit{}, func(t *testing.T, l *smtpretry.Limiter) {
			setLimit(t, l, host, smtpretry.Limit{})
		}, `
host.example: a message may start now.
Waiting: 0. Connections: 0 open, 0 of them idle.
No limit is set, and none is known for this host.
`},
		{"known host and default", "SMTP.office365.com:587", smtpretry.Limit{Rate: 5, MaxConns: 2, Quotas: []smtpretry.Quota{{N: 100, Per: time.Minute}}}, nil, `
SMTP.office365.com:587 (counted as smtp.office365.com): a message may start now.
Waiting: 0. Connections: 0 open, 0 of them idle. Tokens: 1.0.
Rate 5/s: the limiter's default.
Quotas 30 per 1m: known for microsoft365-submission (Microsoft Learn: Exchange Online limits (reprinted by vtcri.kayako.com, northcentral.teamdynamix.com)).
RecipientQuotas 10000 per 24h: known for microsoft365-submission (Microsoft Learn: Exchange Online limits).
MaxConns 2: the limiter's default.
PerMessage 500: known for microsoft365-submission (Microsoft Learn: Exchange Online limits).
`},
		{"rates of both", "smtp.emailit.com", smtpretry.Limit{Rate: 50, Burst: 10}, nil, `
smtp.emailit.com: a message may start now.
Waiting: 0. Connections: 0 open, 0 of them idle. Tokens: 1.0.
Rate 2/s: known for emailit (emailit.com docs (2026-10)).
Burst 1: known for emailit (emailit.com docs (2026-10)).
Quotas 5000 per 24h: known for emailit (emailit.com docs (2026-10)).
`},
		{"set, and the rate binds", "smtp.emailit.com", smtpretry.Limit{MaxConns: 7}, func(t *testing.T, l *smtpretry.Limiter) {
			setLimit(t, l, "smtp.emailit.com", set)
			p := l.Join("smtp.emailit.com", 1)
			deliver(t, p, &fakeConn{})
			time.Sleep(time.Second) // for the recipients
			deliver(t, p, &fakeConn{})
			go p.Acquire(t.Context(), time.Now(), 1, nil)
			synctest.Wait()
		}, `
smtp.emailit.com: a message has to wait until 2000-01-01 00:00:10.000 UTC, the limit that binds is rate.
Waiting: 1. Connections: 1 open, 1 of them idle. Tokens: 0.1.
Rate 6/min: set by SetLimit.
Burst 2: set by SetLimit.
Recipients 10/s: set by SetLimit.
Quotas 3 per 1h: set by SetLimit.
RecipientQuotas 100 per 24h: set by SetLimit.
NewConns 1/s: set by SetLimit.
MaxConns 1: set by SetLimit.
PerConn 20: set by SetLimit.
PerMessage 50: set by SetLimit.
`},
		{"connections", "host.example", smtpretry.Limit{MaxConns: 1}, func(t *testing.T, l *smtpretry.Limiter) { get(t, l.Join(host, 1)) }, `
host.example: a message has to wait, the limit that binds is connections.
Waiting: 0. Connections: 1 open, 0 of them idle. Tokens: 2.0.
Rate 2/s: learned (nothing was refused so far, and it climbs).
Burst 3: learned (nothing was refused so far, and it climbs).
MaxConns 1: the limiter's default.
`},
		{"new connections", "host.example", smtpretry.Limit{NewConns: 1}, func(t *testing.T, l *smtpretry.Limiter) { get(t, l.Join(host, 1)).Release(nil) }, `
host.example: a message has to wait until 2000-01-01 00:00:01.000 UTC, the limit that binds is new-connections.
Waiting: 0. Connections: 0 open, 0 of them idle. Tokens: 3.0.
Rate 2/s: learned (nothing was refused so far, and it climbs).
Burst 3: learned (nothing was refused so far, and it climbs).
NewConns 1/s: the limiter's default.
`},
		{"cool-down", "host.example", smtpretry.Limit{}, func(t *testing.T, l *smtpretry.Limiter) {
			setLimit(t, l, host, smtpretry.Limit{})
			pauseAfter(t, l.Join(host, 1), overloaded)
			l.Join(host, 1).Observe(overloaded)
		}, `
host.example: a message has to wait until 2000-01-01 00:00:03.000 UTC, the limit that binds is cool-down.
Reason: 421 4.3.2 Busy [temporary overload at mail, about the host], refusal number 2 in a row.
What to do: The server is busy or has a problem of its own; nothing is wrong with the message. Waiting helps: it is tried again with growing pauses, and the whole host is held back meanwhile.
Waiting: 0. Connections: 0 open, 0 of them idle.
No limit is set, and none is known for this host.
`},
		{"at rest", "host.example", smtpretry.Limit{Rate: 0.1}, func(t *testing.T, l *smtpretry.Limiter) {
			p := l.Join(host, 1)
			deliver(t, p, &fakeConn{})
			closeAll(p)
		}, `
host.example: a message has to wait until 2000-01-01 00:00:10.000 UTC, the limit that binds is rate.
Waiting: 0. Connections: 0 open, 0 of them idle. Tokens: 0.0.
Rate 6/min: the limiter's default.
`},
	} {
		inBubble(t, c.name, func(t *testing.T) {
			l := smtpretry.NewLimiter(c.def)
			if c.use != nil {
				c.use(t, l)
			}
			if got, want := l.Explain(c.host).String(), strings.TrimPrefix(c.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestHosts: in use, told of, at rest; each once, and no longer than there is
// something to tell.
func TestHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := smtpretry.NewLimiter(smtpretry.Limit{Rate: 0.1})
		want := func(want ...string) {
			t.Helper()
			if got := l.Hosts(); !slices.Equal(got, want) {
				t.Errorf("hosts are %q, want %q", got, want)
			}
		}
		want()
		setLimit(t, l, "Relay.Example:25", smtpretry.Limit{Rate: 0.1})
		relay := l.Join("relay.example", 1)
		l.Join("aspmx.l.google.com", 1)
		l.Join("alt1.aspmx.l.google.com", 1) // counted as one
		used := l.Join("b.example", 1)
		want("b.example", smtpretry.HostKey("aspmx.l.google.com"), "relay.example")
		deliver(t, used, &fakeConn{})
		closeAll(used, relay)
		want("b.example", smtpretry.HostKey("aspmx.l.google.com"), "relay.example")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		want(smtpretry.HostKey("aspmx.l.google.com"), "relay.example")
	})
}
