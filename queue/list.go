package queue

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A Filter selects entries. Zero fields select all; those that are set must all
// fit.
type Filter struct {
	IDs    []int64 // one of these
	Host   string  // this destination
	Cause  string  // last refused for this cause, in the words of smtpretry.Cause, or NotRefused
	From   string  // this sender, exactly
	To     string  // a recipient whose address contains this
	States []State // one of these; empty: Waiting and Sending
	After  int64   // with a larger id: the last of the page before
	Limit  int     // at most so many; 0: 100 for List, no limit otherwise
}

// NotRefused as Filter.Cause selects what has not been refused so far.
const NotRefused = "-"

// where is the filter as a condition, with arguments from $1.
func (f *Filter) where(d *dialect) (cond string, args []any) {
	var all []string
	arg := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	if f.IDs != nil {
		all = append(all, "id {in:"+arg(d.list(f.IDs))+":in}")
	}
	if f.Cause == NotRefused {
		all = append(all, "cause = ''")
	} else if f.Cause != "" {
		all = append(all, "cause = "+arg(f.Cause))
	}
	for _, eq := range []struct{ column, value string }{{"host", f.Host}, {"sender", f.From}} {
		if eq.value != "" {
			all = append(all, eq.column+" = "+arg(eq.value))
		}
	}
	if f.To != "" {
		// The list is JSON; what stands in it is encoded alike.
		part := strings.Trim(marshal(f.To), `"`)
		part = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(part)
		all = append(all, "lower(rcpts) LIKE lower("+arg("%"+part+"%")+`) ESCAPE '\'`)
	}
	states := f.States
	if len(states) == 0 {
		states = []State{Waiting, Sending}
	}
	var list []string
	for _, s := range states {
		list = append(list, fmt.Sprintf("state = %d", s)) // as the indexes have it
	}
	all = append(all, "("+strings.Join(list, " OR ")+")")
	if f.After > 0 {
		all = append(all, "id > "+arg(f.After))
	}
	return strings.Join(all, " AND "), args
}

// List returns entries that fit, the oldest first, without their History.
func (q *Queue) List(ctx context.Context, f Filter) ([]Entry, error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	cond, args := f.where(q.e.dialect())
	list := []Entry{}
	r, err := q.e.reader().query(ctx, "SELECT "+columns+" FROM {mail} WHERE "+cond+fmt.Sprintf(" ORDER BY id LIMIT %d", limit), args...)
	err = scan(r, err, func(r rows) error {
		m := &mail{}
		err := m.scan(r)
		m.history = nil
		list = append(list, m.entry())
		return err
	})
	return list, err
}

// Show returns one entry with its History. The error is [ErrNotFound] when there
// is none, or when it was finished longer ago than Config.Keep.
func (q *Queue) Show(ctx context.Context, id int64) (Entry, error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	m, err := q.load(ctx, q.e.reader(), id)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %d", err, id)
	}
	return m.entry(), nil
}

// Body returns the message of an entry, header and body, as it was queued. Those
// of delivered and dropped entries are gone: [ErrNotFound].
func (q *Queue) Body(ctx context.Context, id int64) ([]byte, error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	var body []byte
	found := false
	r, err := q.e.reader().query(ctx, "SELECT content FROM {body} WHERE id = (SELECT body_id FROM {mail} WHERE id = $1 AND state <> 2 AND state <> 4)", id)
	err = scan(r, err, func(r rows) error {
		found = true
		return r.Scan(&body)
	})
	if err == nil && !found {
		err = fmt.Errorf("%w: %d", ErrNotFound, id)
	}
	return body, err
}

// A Count is how many entries of one destination wait for one reason.
type Count struct {
	Host    string    `json:"host"`
	State   State     `json:"state"`
	Cause   string    `json:"cause,omitempty"` // of the last refusal; empty: not refused so far
	N       int       `json:"n"`
	Octets  int64     `json:"octets"`        // of their bodies
	Oldest  time.Time `json:"oldest"`        // when the first of them was accepted into the queue
	Next    time.Time `json:"next,omitzero"` // when the first of them is due
	Held    bool      `json:"held,omitempty"`
	Refused string    `json:"refused,omitempty"` // what one of them was told last
}

// Count counts what waits and what is being sent, by destination, state and
// cause, in that order.
func (q *Queue) Count(ctx context.Context) ([]Count, error) {
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	holds, err := q.loadHolds(ctx, q.e.reader())
	if err != nil {
		return nil, err
	}
	list := []Count{}
	r, err := q.e.reader().query(ctx, "SELECT host, state, cause, count(*), coalesce(sum(size), 0), min(created), min(due), max(reply) FROM {mail} "+
		"WHERE state = 0 OR state = 1 GROUP BY host, state, cause ORDER BY host, state, cause")
	err = scan(r, err, func(r rows) error {
		var c Count
		var oldest, due int64
		if err := r.Scan(&c.Host, &c.State, &c.Cause, &c.N, &c.Octets, &oldest, &due, &c.Refused); err != nil {
			return err
		}
		c.Oldest, c.Next = unstamp(oldest), unstamp(max(due, oldest))
		if h, ok := holds[c.Host]; ok {
			c.Held = h.holds(time.Now())
		}
		list = append(list, c)
		return nil
	})
	return list, err
}
