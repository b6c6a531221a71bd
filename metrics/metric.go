package metrics

import "slices"

// A Kind is how a [Metric] is counted.
type Kind uint8

// The kinds.
const (
	Counter   Kind = iota // added to
	UpDown                // added to, also less than zero
	Histogram             // of seconds
	Gauge                 // read when it is asked for
)

// A Metric is one thing that is counted. Those of this package must not be changed.
type Metric struct {
	Name    string    // with dots, as in OpenTelemetry; in Prometheus with underscores, unit and _total
	Unit    string    // in UCUM: "s", "{message}/s"; empty if it is a plain number
	Kind    Kind      // how it is counted
	Help    string    // what it is, in one sentence
	Labels  []string  // their names, in the order of the values in Labels
	Buckets []float64 // upper bounds of a Histogram
}

// maxLabels is the most that a Metric has.
const maxLabels = 4

// Labels are the values of a [Metric]'s labels, in its order; those beyond are empty.
type Labels [maxLabels]string

// Of returns the values that m has.
func (l *Labels) Of(m *Metric) []string { return l[:len(m.Labels)] }

// HostOther is the host of all hosts beyond Options.MaxHosts.
const HostOther = "other"

// Values that stand for nothing to tell.
const (
	causeNone     = "none"     // nothing was refused
	classAccepted = "accepted" // by all recipients of an attempt
)

// Times up to the defaults of go-smtp: 5 minutes for a command, 12 for the dot.
var attemptBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

// Times up to the hours that greylisting and quotas take.
var waitBuckets = []float64{.01, .1, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600}

// What is counted as it happens.
var (
	Attempts = &Metric{Name: "smtpretry.attempts", Kind: Counter, Labels: []string{"host", "stage", "class", "cause"},
		Help: "Attempts: transactions, and failures to get that far. Class, cause and stage are those of the refusal that decided; accepted, none and dot if there was none."}
	Retries = &Metric{Name: "smtpretry.retries", Kind: Counter, Labels: []string{"host"},
		Help: "Attempts after the first of the same call of Send or Try."}
	AttemptDuration = &Metric{Name: "smtpretry.attempt.duration", Unit: "s", Kind: Histogram, Labels: []string{"host", "class"}, Buckets: attemptBuckets,
		Help: "How long attempts took, from when a connection was asked for to the last reply."}
	Recipients = &Metric{Name: "smtpretry.recipients", Kind: Counter, Labels: []string{"host", "state", "cause"},
		Help: "Recipients, by what had become of them when Send or Try returned, and why."}
	MessageDuration = &Metric{Name: "smtpretry.message.duration", Unit: "s", Kind: Histogram, Labels: []string{"host", "outcome"}, Buckets: waitBuckets,
		Help: "How long calls of Send and Try took, with all attempts and waits. The outcome is sent, partial or failed: accepted for all, some or none of the recipients."}
	WaitDuration = &Metric{Name: "smtpretry.wait.duration", Unit: "s", Kind: Histogram, Labels: []string{"host", "reason"}, Buckets: waitBuckets,
		Help: "How long messages waited, and for what: retry, or the limit that was binding when the wait began."}
	Waiting = &Metric{Name: "smtpretry.waiting_messages", Kind: UpDown, Labels: []string{"host", "reason"},
		Help: "Messages that wait now, and for what."}
)

// What a limiter knows of its hosts.
var (
	LimiterRate = &Metric{Name: "smtpretry.limiter.messages", Unit: "{message}/s", Kind: Gauge, Labels: []string{"host", "origin"},
		Help: "The rate of messages in force, and where it comes from: set, default, known, announced or learned. None if there is no limit."}
	LimiterMaxConns = &Metric{Name: "smtpretry.limiter.max_connections", Kind: Gauge, Labels: []string{"host", "origin"},
		Help: "The limit of connections in force, and where it comes from. None if there is no limit."}
	LimiterTokens = &Metric{Name: "smtpretry.limiter.tokens", Kind: Gauge, Labels: []string{"host"},
		Help: "Messages that the rate and its burst would let start at once. None if there is no rate."}
	LimiterConns = &Metric{Name: "smtpretry.limiter.connections", Kind: Gauge, Labels: []string{"host", "state"},
		Help: "Open connections: busy or idle."}
	LimiterWaiting = &Metric{Name: "smtpretry.limiter.waiting_messages", Kind: Gauge, Labels: []string{"host"},
		Help: "Messages of all clients that wait in the limiter's line."}
	LimiterCoolDown = &Metric{Name: "smtpretry.limiter.cool_down", Unit: "s", Kind: Gauge, Labels: []string{"host"},
		Help: "How long the host is left alone from now on, since it refused everything; 0 if it is not. The longest of those counted as other."}
)

// What a queue holds.
var (
	QueueMessages = &Metric{Name: "smtpretry.queue.messages", Kind: Gauge, Labels: []string{"host", "state", "cause"},
		Help: "Entries in the queue by destination: waiting, sending or held, and why they were refused last."}
	QueueAge = &Metric{Name: "smtpretry.queue.oldest_age", Unit: "s", Kind: Gauge, Labels: []string{"host", "state"},
		Help: "How long ago the oldest entry was accepted into the queue."}
	QueueUp = &Metric{Name: "smtpretry.queue.up", Kind: Gauge,
		Help: "1 if the queue could be read, 0 if not."}
)

var all = []*Metric{Attempts, Retries, AttemptDuration, Recipients, MessageDuration, WaitDuration, Waiting,
	LimiterRate, LimiterMaxConns, LimiterTokens, LimiterConns, LimiterWaiting, LimiterCoolDown,
	QueueMessages, QueueAge, QueueUp}

// All lists every Metric.
func All() []*Metric { return slices.Clone(all) }
