package queue

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Notice tells of recipients that have failed, or of a message that is late.
type Notice struct {
	Entry      Entry       // as it stands now
	Recipients []Recipient // those that it is about
}

// kinds of notices.
type noticeKind int

const (
	noticeFailed  noticeKind = 1
	noticeDelayed noticeKind = 2
)

// A notice is one that is recorded together with what it tells of, so that it is
// told exactly once, whatever becomes of the process between the two.
type notice struct {
	kind  noticeKind
	rcpts []int   // places
	told  bool    // to the program
	dsn   *parcel // to the sender; nil: not
}

// failures makes the notices for recipients that failed now.
func (q *Queue) failures(m *mail, body []byte, at []int) []notice {
	n := notice{kind: noticeFailed, rcpts: at, told: q.cfg.OnFailed != nil}
	n.dsn = q.notification(m, body, at, noticeFailed)
	if !n.told && n.dsn == nil {
		return nil
	}
	return []notice{n}
}

// delays makes the notices for a message that is late.
func (q *Queue) delays(m *mail, body []byte) []notice {
	var at []int
	for i := range m.rcpts {
		if m.rcpts[i].isOpen() {
			at = append(at, i)
		}
	}
	n := notice{kind: noticeDelayed, rcpts: at, told: q.cfg.OnDelayed != nil}
	n.dsn = q.notification(m, body, at, noticeDelayed)
	if !n.told && n.dsn == nil {
		return nil
	}
	return []notice{n}
}

// A teller calls the program's functions, one at a time.
type teller struct {
	q    *Queue
	kick chan struct{}
	over chan struct{}
}

func newTeller(q *Queue) *teller {
	return &teller{q: q, kick: make(chan struct{}, 1), over: make(chan struct{})}
}

func (t *teller) wake() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

func (t *teller) run(ctx context.Context) {
	defer close(t.over)
	for {
		more, err := t.tell(ctx)
		if err != nil && ctx.Err() == nil {
			t.q.trouble(err, "telling of messages")
			t.q.d.pauseFor(ctx, time.Second)
		}
		if more && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-t.kick:
		}
	}
}

// tell tells of some notices and reports whether there may be more.
func (t *teller) tell(ctx context.Context) (more bool, err error) {
	type due struct {
		id, mail int64
		kind     noticeKind
		rcpts    []int
	}
	var list []due
	r, err := t.q.e.reader().query(ctx, "SELECT id, mail_id, kind, rcpts FROM {notice} WHERE node = $1 ORDER BY id LIMIT 100", t.q.node)
	err = scan(r, err, func(r rows) error {
		var d due
		var rcpts string
		if err := r.Scan(&d.id, &d.mail, &d.kind, &rcpts); err != nil {
			return err
		}
		list = append(list, d)
		return unmarshal(rcpts, &list[len(list)-1].rcpts)
	})
	if err != nil {
		return false, err
	}
	for _, d := range list {
		if ctx.Err() != nil {
			return false, nil
		}
		m, err := t.q.load(ctx, t.q.e.reader(), d.mail)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return true, err
		}
		if err == nil {
			t.call(d.kind, m, d.rcpts)
		}
		err = t.told(ctx, d.id)
		if err != nil {
			return true, err
		}
	}
	return len(list) > 0, nil
}

// told removes a notice, even if the queue is being closed: otherwise it would be
// told again.
func (t *teller) told(ctx context.Context, id int64) error {
	ctx, cancel := t.q.bounded(context.WithoutCancel(ctx))
	defer cancel()
	return within(ctx, t.q.e, true, func(tx transaction) error {
		_, err := tx.exec(ctx, "DELETE FROM {notice} WHERE id = $1", id)
		return err
	})
}

func (t *teller) call(kind noticeKind, m *mail, at []int) {
	f := t.q.cfg.OnFailed
	if kind == noticeDelayed {
		f = t.q.cfg.OnDelayed
	}
	if f == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			t.q.log.Error("a function of the configuration panicked", "id", m.id, "panic", fmt.Sprint(p))
		}
	}()
	n := Notice{Entry: m.entry()}
	for _, i := range at {
		if i < len(m.rcpts) {
			n.Recipients = append(n.Recipients, m.recipient(i))
		}
	}
	f(n)
}
