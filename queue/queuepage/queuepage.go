// Package queuepage shows a queue on the page of
// github.com/smtpretry/smtpretry/statuspage:
//
//	page := &statuspage.Handler{Limiter: limiter, Queue: queuepage.Of(q)}
package queuepage

import (
	"cmp"
	"context"
	"errors"

	"github.com/smtpretry/smtpretry/queue"
	"github.com/smtpretry/smtpretry/statuspage"
)

// Of returns q as the page takes it. It is safe for concurrent use, as q is.
func Of(q *queue.Queue) statuspage.Queue { return shown{q} }

// shown has Hold and Release from the queue, as they are.
type shown struct{ *queue.Queue }

func (s shown) Count(ctx context.Context) ([]statuspage.QueueCount, error) {
	counts, err := s.Queue.Count(ctx)
	list := make([]statuspage.QueueCount, len(counts))
	for i, c := range counts {
		list[i] = statuspage.QueueCount{Host: c.Host, State: c.State.String(), Cause: c.Cause, N: c.N, Octets: c.Octets,
			Oldest: c.Oldest, Next: c.Next, Held: c.Held, Refused: c.Refused}
	}
	return list, err
}

func (s shown) List(ctx context.Context, f statuspage.QueueFilter) ([]statuspage.QueueMessage, error) {
	filter, err := filterOf(&f)
	if err != nil {
		return nil, err
	}
	entries, err := s.Queue.List(ctx, filter)
	list := make([]statuspage.QueueMessage, len(entries))
	for i := range entries {
		list[i] = message(&entries[i])
	}
	return list, err
}

func (s shown) Show(ctx context.Context, id int64) (statuspage.QueueMessage, bool, error) {
	e, err := s.Queue.Show(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		return statuspage.QueueMessage{}, false, nil
	}
	return message(&e), err == nil, err
}

func (s shown) Holds(ctx context.Context) ([]statuspage.QueueHold, error) {
	holds, err := s.Queue.Holds(ctx)
	list := make([]statuspage.QueueHold, len(holds))
	for i, h := range holds {
		list[i] = statuspage.QueueHold(h)
	}
	return list, err
}

func (s shown) Retry(ctx context.Context, f statuspage.QueueFilter) (int, error) {
	filter, err := filterOf(&f)
	if err != nil {
		return 0, err
	}
	return s.Queue.Retry(ctx, filter, nil)
}

func (s shown) Drop(ctx context.Context, f statuspage.QueueFilter) (int, error) {
	filter, err := filterOf(&f)
	if err != nil {
		return 0, err
	}
	return s.Queue.Drop(ctx, filter, nil)
}

func filterOf(f *statuspage.QueueFilter) (queue.Filter, error) {
	filter := queue.Filter{IDs: f.IDs, Host: f.Host, Cause: f.Cause, From: f.From, To: f.To, After: f.After, Limit: f.Limit}
	for _, word := range f.States {
		var state queue.State
		if err := state.UnmarshalText([]byte(word)); err != nil {
			return filter, err
		}
		filter.States = append(filter.States, state)
	}
	return filter, nil
}

func message(e *queue.Entry) statuspage.QueueMessage {
	m := statuspage.QueueMessage{ID: e.ID, Host: e.Host, State: e.State.String(), From: e.From, Size: e.Size, Attempts: e.Attempts,
		Cause: e.Cause, Reply: e.Reply, Created: e.Created, Next: e.Next, GiveUp: e.GiveUp, Finished: e.Finished}
	for _, r := range e.Recipients {
		one := statuspage.QueueRecipient{Address: r.Address, State: r.State.String(), Next: r.Next}
		if r.Failed {
			one.State = "failed"
		}
		if r.Verdict.Rule != "" {
			v := &r.Verdict
			one.Reply, one.Advice = cmp.Or(v.Reply(), "no reply, "+v.Cause.String()+" at "+v.Stage.String()), v.Advice()
		}
		m.Recipients = append(m.Recipients, one)
	}
	for _, line := range e.History {
		m.History = append(m.History, statuspage.QueueEvent(line))
	}
	return m
}
