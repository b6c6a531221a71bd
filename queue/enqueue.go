package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/riverqueue/river"
	"github.com/smtpretry/smtpretry"
)

// Options say how a message is queued. The zero value is good for most.
type Options struct {
	// Key makes enqueuing idempotent: a second message of the same key is not
	// queued, and its Receipt is a Duplicate that names the first. A key is
	// known for Config.Keep, and for as long as its message is in the queue.
	Key string

	// At is when the message may be tried first; zero: now.
	At time.Time

	// Priority is 1 for the most urgent to 4; 0 means 2. It orders the
	// messages of one destination.
	Priority int

	// GiveUp is when the message fails if it has not been delivered; zero:
	// Config.Policy.MaxElapsed after At, which is 5 days by default.
	GiveUp time.Time

	// DelayAfter is Config.DelayAfter for this message, counted from At; 0:
	// as there; negative: never.
	DelayAfter time.Duration
}

// An Item is one message for [Queue.EnqueueMany].
type Item struct {
	Message *smtpretry.Message
	Options Options
}

// A Receipt says what a message became in the queue.
type Receipt struct {
	ID        int64   // of its first entry
	IDs       []int64 // of its entries, one for each destination; of a Duplicate only the first
	Duplicate bool    // its key was known: nothing was queued
}

// Enqueue puts a message into the queue. When it returns nil, the message is on
// disk and will be delivered, or reported as failed, whatever becomes of this
// process. The body is read before Enqueue returns; m is not used after it.
//
// Calls at the same time share a transaction. The error is an
// *[smtpretry.FieldError] for a faulty message, a *[ConfigError] for faulty
// options, [ErrTooLarge], or one of the database, such as [ErrDiskFull]; then
// nothing was queued, but for an error that came after the database was asked to
// commit, when nobody can know: a Key makes it safe to try again.
func (q *Queue) Enqueue(ctx context.Context, m *smtpretry.Message, o Options) (Receipt, error) {
	p, err := q.parcel(m, o)
	if err != nil {
		return Receipt{}, err
	}
	return q.intake.put(ctx, p)
}

// EnqueueMany is Enqueue for many messages in one transaction: all are queued,
// or none. It is several times faster than one call for each.
func (q *Queue) EnqueueMany(ctx context.Context, items []Item) ([]Receipt, error) {
	if len(items) == 0 {
		return nil, nil
	}
	parcels := make([]*parcel, len(items))
	for i, it := range items {
		p, err := q.parcel(it.Message, it.Options)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", i, err)
		}
		parcels[i] = p
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	var got []Receipt
	err := within(ctx, q.e, true, func(tx transaction) (err error) {
		got, err = q.insert(ctx, tx, parcels)
		return err
	})
	if err != nil {
		return nil, err
	}
	q.noted(parcels)
	return got, nil
}

// EnqueueTx puts a message into the queue within a transaction of the caller's
// on the same database: a *sql.Tx on SQLite ([Queue.SQLite] begins one), a pgx.Tx
// on PostgreSQL. The message is queued if and when that commits; then it is found
// within a quarter of a second. An error leaves it to the caller to roll back.
//
// On SQLite every other call on the queue waits while a transaction is open.
func (q *Queue) EnqueueTx(ctx context.Context, tx any, m *smtpretry.Message, o Options) (Receipt, error) {
	p, err := q.parcel(m, o)
	if err != nil {
		return Receipt{}, err
	}
	t, err := q.e.join(tx)
	if err != nil {
		return Receipt{}, err
	}
	got, err := q.insert(ctx, t, []*parcel{p})
	if err != nil {
		return Receipt{}, q.e.explain(err)
	}
	return got[0], nil
}

// A parcel is a message that is ready to be inserted.
type parcel struct {
	key   string
	body  []byte
	mails []mail // one for each destination, without ids
}

// parcel checks a message and reads its body.
func (q *Queue) parcel(m *smtpretry.Message, o Options) (*parcel, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	if o.Priority < 0 || o.Priority > 4 {
		return nil, &ConfigError{Field: "Options.Priority", Reason: fmt.Sprintf("is %d, want 1 to 4, or 0 for 2", o.Priority)}
	}
	if o.Priority == 0 {
		o.Priority = 2
	}
	body, err := readBody(m, q.cfg.MaxSize)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	at := now
	if o.At.After(now) {
		at = o.At
	}
	until := o.GiveUp
	if until.IsZero() {
		if d := q.cfg.maxElapsed(); d > 0 {
			until = at.Add(d)
		} else {
			until = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
		}
	}
	if !until.After(at) {
		return nil, &ConfigError{Field: "Options.GiveUp", Reason: "is not after the time of the first attempt"}
	}
	alarm := until
	after := o.DelayAfter
	if after == 0 {
		after = q.cfg.DelayAfter
	}
	if t := at.Add(after); after > 0 && t.Before(until) {
		alarm = t
	}
	p := &parcel{key: o.Key, body: body}
	where := map[string]int{}
	for _, to := range m.To {
		host := q.cfg.Route(m.From, to)
		if host == "" {
			return nil, &ConfigError{Field: "Config.Route", Reason: "gave no destination for " + to}
		}
		i, ok := where[host]
		if !ok {
			i = len(p.mails)
			where[host] = i
			p.mails = append(p.mails, mail{state: Waiting, priority: o.Priority, size: int64(len(body)), due: stamp(at), until: stamp(until),
				alarm: stamp(alarm), created: stamp(now), host: host, sender: m.From, options: mailOptions{Mail: m.MailOptions}})
		}
		r := recipient{Addr: to}
		if m.RcptOptions != nil {
			r.Options = m.RcptOptions(to)
		}
		p.mails[i].rcpts = append(p.mails[i].rcpts, r)
	}
	return p, nil
}

// readBody reads the message into memory.
func readBody(m *smtpretry.Message, most int64) ([]byte, error) {
	fault := func(reason string, err error) error {
		return &smtpretry.FieldError{Field: "Message.Body", Reason: reason, Err: err}
	}
	r, err := m.Body()
	if err != nil {
		return nil, fault("cannot be opened", err)
	}
	if r == nil {
		return nil, fault("gave no reader", nil)
	}
	var b bytes.Buffer
	if m.Size > 0 && m.Size <= most {
		b.Grow(int(m.Size) + bytes.MinRead)
	}
	_, err = b.ReadFrom(io.LimitReader(r, most+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fault("cannot be read", err)
	}
	body := b.Bytes()
	switch n := int64(len(body)); {
	case n > most:
		return nil, fmt.Errorf("%w: more than %d octets", ErrTooLarge, most)
	case m.Size > 0 && n != m.Size:
		return nil, fault(fmt.Sprintf("has %d octets, not the %d of Message.Size", n, m.Size), nil)
	}
	// The client would refuse it at each attempt (RFC 5321 section 2.3.8).
	for rest := body; ; {
		i := bytes.IndexByte(rest, '\r')
		if i < 0 {
			return body, nil
		}
		if i+1 == len(rest) || rest[i+1] != '\n' {
			return nil, fault("has a CR without LF", nil)
		}
		rest = rest[i+1:]
	}
}

// insert writes parcels within a transaction.
func (q *Queue) insert(ctx context.Context, tx transaction, parcels []*parcel) ([]Receipt, error) {
	got := make([]Receipt, len(parcels))
	var jobs []river.InsertManyParams
	keys, twins := map[string]int{}, map[int]int{}
	for i, p := range parcels {
		if p.key != "" {
			if first, ok := keys[p.key]; ok {
				twins[i], got[i].Duplicate = first, true
				continue
			}
			keys[p.key] = i
			first, err := q.claimKey(ctx, tx, p)
			if err != nil {
				return nil, err
			}
			if first != 0 {
				got[i] = Receipt{ID: first, IDs: []int64{first}, Duplicate: true}
				continue
			}
		}
		for j := range p.mails {
			jobs = append(jobs, jobOf(&p.mails[j]))
		}
	}
	if len(jobs) == 0 { // each has a key that was known, and so has each twin
		for i, first := range twins {
			got[i] = got[first]
		}
		return got, nil
	}
	ids, err := q.e.insertJobs(ctx, tx, jobs)
	if err != nil {
		return nil, err
	}
	var rest []statement
	for i, p := range parcels {
		if got[i].Duplicate {
			continue
		}
		got[i].IDs, ids = ids[:len(p.mails):len(p.mails)], ids[len(p.mails):]
		got[i].ID = got[i].IDs[0]
		// The body has the id of the first entry.
		rest = append(rest, statement{sqlInsertBody, []any{got[i].ID, len(p.mails), p.body}})
		for j := range p.mails {
			m := &p.mails[j]
			m.id, m.first, m.body = got[i].IDs[j], got[i].ID, got[i].ID
			rest = append(rest, statement{sqlInsertMail, m.values()})
		}
		if p.key != "" {
			rest = append(rest, statement{"UPDATE {key} SET mail_id = $1 WHERE key = $2", []any{got[i].ID, p.key}})
		}
	}
	for i, first := range twins {
		got[i] = Receipt{ID: got[first].ID, IDs: []int64{got[first].ID}, Duplicate: true}
	}
	_, err = tx.execAll(ctx, rest)
	return got, err
}

const (
	sqlInsertBody = "INSERT INTO {body} (id, refs, content) VALUES ($1, $2, $3)"
	sqlInsertMail = "INSERT INTO {mail} (" + columns + ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)"
)

// values are those of columns.
func (m *mail) values() []any {
	return []any{m.id, m.body, m.first, int(m.state), m.priority, m.attempts, m.size, m.due, m.until, m.alarm, m.created, m.finished,
		m.host, m.node, m.sender, m.cause, m.reply, marshal(m.options), marshal(m.rcpts), marshal(m.history)}
}

// claimKey returns the entry that has the parcel's key, or 0 after taking it.
func (q *Queue) claimKey(ctx context.Context, tx transaction, p *parcel) (first int64, err error) {
	// On PostgreSQL this waits for a transaction that is about to take it.
	n, err := tx.exec(ctx, "INSERT INTO {key} (key, mail_id, created) VALUES ($1, 0, $2) ON CONFLICT (key) DO NOTHING", p.key, p.mails[0].created)
	if err != nil || n > 0 {
		return 0, err
	}
	r, err := tx.query(ctx, "SELECT mail_id FROM {key} WHERE key = $1", p.key)
	err = scan(r, err, func(r rows) error { return r.Scan(&first) })
	return first, err
}

// jobOf is River's job for a mail. It is pending, which for River means that
// somebody else will make it available.
func jobOf(m *mail) river.InsertManyParams {
	args := jobArgs{Host: m.host, From: m.sender, Size: m.size}
	for i := range m.rcpts {
		if i == 10 {
			args.More = len(m.rcpts) - i
			break
		}
		args.To = append(args.To, m.rcpts[i].Addr)
	}
	return river.InsertManyParams{Args: args, InsertOpts: &river.InsertOpts{Pending: true, Queue: mailQueue, Priority: m.priority, MaxAttempts: 32767}}
}

// noted tells the dispatcher of what is committed.
func (q *Queue) noted(parcels []*parcel) {
	if q.d == nil {
		return
	}
	for _, p := range parcels {
		for i := range p.mails {
			q.d.note(p.mails[i].host, p.mails[i].due)
		}
	}
}

// message is what is sent: the recipients at the given places.
func (m *mail) message(body []byte, at []int) *smtpretry.Message {
	msg := &smtpretry.Message{From: m.sender, MailOptions: m.options.Mail, Size: sizeOf(body),
		Body: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }}
	options := map[string]*smtp.RcptOptions{}
	for _, i := range at {
		r := &m.rcpts[i]
		msg.To = append(msg.To, r.Addr)
		if r.Options != nil {
			options[r.Addr] = r.Options
		}
	}
	if len(options) > 0 {
		msg.RcptOptions = func(to string) *smtp.RcptOptions { return options[to] }
	}
	return msg
}

// sizeOf is the length to announce. With LF lines it would be too small
// (RFC 1870 counts CRLF), so it is then left unknown.
func sizeOf(body []byte) int64 {
	for rest := body; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return int64(len(body))
		}
		if i == 0 || rest[i-1] != '\r' {
			return 0
		}
		rest = rest[i+1:]
	}
}
