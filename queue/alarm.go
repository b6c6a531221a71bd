package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/smtpretry/smtpretry"
)

// lastChance is how long after its give-up time a message may wait for the
// attempt that is due at that very time, if nothing keeps it from being made.
const lastChance = 10 * time.Second

const (
	sqlAlarms = "SELECT " + columns + ", content FROM {mail} LEFT JOIN (SELECT id AS content_id, content FROM {body}) AS b ON content_id = body_id " +
		"WHERE state = 0 AND alarm <= $1 ORDER BY alarm LIMIT 100"
	sqlAlarmed = "UPDATE {mail} SET state = $2, due = $3, alarm = $4, finished = $5, attempts = $6, cause = $7, reply = $8, rcpts = $9, history = $10, node = '' " +
		"WHERE id = $1 AND state = 0 AND alarm = $11"
)

// alarms sees to the waiting messages that are late, or past their give-up time,
// and reports whether there may be more of them.
func (q *Queue) alarms(ctx context.Context, now time.Time) (more bool, err error) {
	type late struct {
		m    *mail
		body []byte
	}
	var list []late
	r, err := q.e.reader().query(ctx, sqlAlarms, stamp(now))
	err = scan(r, err, func(r rows) error {
		l := late{m: &mail{}}
		err := l.m.scan(r, &l.body)
		list = append(list, l)
		return err
	})
	if err != nil || len(list) == 0 {
		return false, err
	}
	type change struct {
		o   *outcome
		was int64
	}
	var changes []change
	for _, l := range list {
		m := l.m
		c := change{o: &outcome{m: m}, was: m.alarm}
		switch until := unstamp(m.until); {
		case now.Before(until):
			m.alarm = m.until
			m.remember(HistoryLine{Time: now, Text: "delayed"})
			c.o.notices = q.delays(m, l.body)
		case m.due <= stamp(now) && now.Before(until.Add(lastChance)) && !q.d.isBlocked(m.host, now):
			continue // the last attempt comes first
		default:
			c.o.notices = q.expire(m, l.body, now)
			c.o.failure = m.reply
		}
		changes = append(changes, c)
	}
	if len(changes) == 0 {
		return false, nil
	}
	told := false
	err = within(ctx, q.e, true, func(tx transaction) error {
		all := make([]statement, len(changes))
		for i, c := range changes {
			all[i] = statement{sqlAlarmed, append(c.o.m.settled(), c.was)}
		}
		counts, err := tx.execAll(ctx, all)
		if err != nil {
			return err
		}
		var ours []*outcome
		for i, c := range changes {
			if counts[i] > 0 { // else it is being sent, or another process was first
				ours = append(ours, c.o)
				told = told || len(c.o.notices) > 0
			}
		}
		return q.settleJobs(ctx, tx, ours)
	})
	if err == nil && told {
		q.teller.wake()
	}
	return len(list) == 100, err
}

// expire ends a mail whose time is over, with the last reply.
func (q *Queue) expire(m *mail, body []byte, now time.Time) []notice {
	why := fmt.Sprintf("not delivered within %v", unstamp(m.until).Sub(unstamp(m.created)).Round(time.Second))
	if m.reply == "" {
		m.reply = why
		if q.d.isHeld(m.host, now) {
			m.reply = why + ": the host was held"
		}
	}
	var at []int
	for i := range m.rcpts {
		r := &m.rcpts[i]
		if !r.isOpen() {
			continue
		}
		r.Failed, r.Next = true, 0
		if r.Verdict == nil {
			r.Verdict = &smtpretry.Verdict{Class: smtpretry.Temporary, Scope: smtpretry.ScopeHost, Text: m.reply, Rule: "queue"}
		}
		at = append(at, i)
	}
	m.remember(HistoryLine{Time: now, Text: "given up: " + why})
	m.finish(now, m.reply)
	q.log.Warn("message failed", "id", m.id, "host", m.host, "attempts", m.attempts, "cause", m.cause, "reply", m.reply)
	return q.failures(m, body, at)
}
