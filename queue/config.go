package queue

import (
	"cmp"
	"log/slog"
	"os"
	"time"

	"github.com/smtpretry/smtpretry"
)

// The defaults of [Config].
const (
	defaultDatabase = "queue.db"
	defaultWorkers  = 100
	defaultPerHost  = 10
	defaultMaxSize  = 32 << 20
	defaultKeep     = 24 * time.Hour
	defaultGrace    = 10 * time.Second
	relayHost       = "relay"
)

// Config says where a queue lives and how it delivers. Relay or Client is
// needed to deliver; everything else may be left zero.
type Config struct {
	// Database is the path of an SQLite file, made if it is missing, on a
	// local disk; or the URL of a PostgreSQL database ("postgres://…"), which
	// several machines may share. Default: "queue.db".
	Database string

	// Schema is the PostgreSQL schema for the tables, which must exist;
	// default: the first of the connection's search_path. Not for SQLite.
	Schema string

	// Relay delivers every message, whatever Route says. The queue does not
	// close it.
	Relay *smtpretry.Client

	// Route names the destination of a recipient. Messages of one destination
	// are held, paused and counted together, and a message to recipients of
	// several destinations becomes an entry for each. It must give the same
	// answer each time. Default: all recipients go to "relay". It is called
	// by Enqueue, so every process that enqueues should have the same.
	Route func(from, to string) string

	// Client makes the client for a destination, if there is no Relay. It is
	// called when the first message is due there, and again after the
	// destination was unused for 10 minutes, when the queue closes the client.
	// An error defers the message. Several goroutines may call it at once.
	Client func(host string) (*smtpretry.Client, error)

	// Policy says when to try again and when to give up; only MaxAttempts,
	// MaxElapsed, Backoff and RetryInDoubt count here, and MaxElapsed can be
	// set for each message ([Options.GiveUp]). nil: [DefaultPolicy].
	Policy *smtpretry.Policy

	Workers int   // attempts at once in this process; 0: 100
	PerHost int   // attempts at once to one destination; 0: Workers with a Relay, else 10
	MaxSize int64 // octets of a body; 0: 32 MiB. A body is in memory while it is tried

	// DelayAfter is when OnDelayed is called, and a delay notification sent,
	// for a message that is still not delivered; 0: never. It can be set for
	// each message ([Options.DelayAfter]).
	DelayAfter time.Duration

	// OnFailed is told of recipients that will not get a message any more:
	// they were refused for good, or the message is past its give-up time.
	// Each recipient is told of exactly once; only when the process is killed
	// within the call is it made again, by the next process. OnDelayed is told
	// once of a message that is late. Both run on one goroutine of the queue,
	// one call at a time, and may use the Queue; what they do takes nothing
	// from the speed of deliveries. A panic is logged and counts as told.
	OnFailed  func(Notice)
	OnDelayed func(Notice)

	// DSN, if not nil, sends a delivery status notification (RFC 3464) to the
	// sender of a message that failed. It goes through this queue.
	DSN *DSN

	// Keep is how long finished entries can be looked at, and how long an
	// idempotency key is known after that it was used; 0: 24 hours.
	Keep time.Duration

	// Node is this machine's name among those that share a PostgreSQL
	// database: what a process of the same name left unfinished is taken over
	// at once, that of others when they have not been seen for 15 seconds.
	// Default: the host's name. Not for SQLite.
	Node string

	// Grace is how long Close lets attempts go on before it breaks them off;
	// 0: 10 s.
	Grace time.Duration

	Logger *slog.Logger // nil: silent
}

// DefaultPolicy is [smtpretry.QueuePolicy], and a message whose fate is not
// known is sent again: that a message is never lost comes before that it is
// never doubled (RFC 5321 section 6.1). With RetryInDoubt false such a message
// fails instead.
func DefaultPolicy() smtpretry.Policy {
	p := smtpretry.QueuePolicy()
	p.RetryInDoubt = true
	return p
}

func (c Config) withDefaults() (Config, error) {
	bad := func(field, reason string) (Config, error) {
		return c, &ConfigError{Field: "Config." + field, Reason: reason}
	}
	switch {
	case c.Relay != nil && c.Client != nil:
		return bad("Client", "is set, and so is Relay: only one can deliver")
	case c.Workers < 0:
		return bad("Workers", "is negative; 0 means 100")
	case c.PerHost < 0:
		return bad("PerHost", "is negative; 0 means the default")
	case c.MaxSize < 0:
		return bad("MaxSize", "is negative; 0 means 32 MiB")
	case c.DelayAfter < 0:
		return bad("DelayAfter", "is negative; 0 means never")
	case c.Keep < 0:
		return bad("Keep", "is negative; 0 means 24 hours")
	}
	c.Database = cmp.Or(c.Database, defaultDatabase)
	c.Workers = cmp.Or(c.Workers, defaultWorkers)
	if c.PerHost == 0 {
		c.PerHost = min(defaultPerHost, c.Workers)
		if c.Relay != nil {
			c.PerHost = c.Workers
		}
	}
	c.MaxSize = cmp.Or(c.MaxSize, defaultMaxSize)
	c.Keep = cmp.Or(c.Keep, defaultKeep)
	c.Grace = cmp.Or(c.Grace, defaultGrace)
	if c.Policy == nil {
		p := DefaultPolicy()
		c.Policy = &p
	}
	if c.Route == nil {
		c.Route = func(string, string) string { return relayHost }
	}
	if c.Node == "" {
		c.Node, _ = os.Hostname()
		c.Node = cmp.Or(c.Node, "node")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// delivers says whether there is a way to.
func (c *Config) delivers() bool { return c.Relay != nil || c.Client != nil }

// maxElapsed is the give-up time of a message without one of its own; 0: never.
func (c *Config) maxElapsed() time.Duration {
	switch d := c.Policy.MaxElapsed; {
	case d < 0:
		return 0
	case d == 0:
		return smtpretry.QueuePolicy().MaxElapsed
	default:
		return d
	}
}
