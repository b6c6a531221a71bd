package queue

import (
	"context"
	"time"
)

// sqlLook lists the hosts that have messages waiting, with when the first of
// each is due. It goes from host to host in the index and does not read the
// messages: 100,000 of one host are one step.
const sqlLook = `
WITH RECURSIVE h(host) AS (
	SELECT min(host) FROM {mail} WHERE state = 0
	UNION ALL
	SELECT (SELECT min(host) FROM {mail} WHERE state = 0 AND host > h.host) FROM h WHERE h.host IS NOT NULL
)
SELECT host,
	(SELECT min(due) FROM {mail} WHERE state = 0 AND host = h.host AND priority = 1),
	(SELECT min(due) FROM {mail} WHERE state = 0 AND host = h.host AND priority = 2),
	(SELECT min(due) FROM {mail} WHERE state = 0 AND host = h.host AND priority = 3),
	(SELECT min(due) FROM {mail} WHERE state = 0 AND host = h.host AND priority = 4)
FROM h WHERE host IS NOT NULL`

// look finds out what waits where, and what is held.
func (d *dispatcher) look(ctx context.Context) error {
	ctx, cancel := d.q.bounded(ctx)
	defer cancel()
	if err := d.readHolds(ctx, d.q.e.reader()); err != nil {
		return err
	}
	found := map[string]int64{}
	r, err := d.q.e.reader().query(ctx, sqlLook)
	err = scan(r, err, func(r rows) error {
		var host string
		var due [4]*int64
		if err := r.Scan(&host, &due[0], &due[1], &due[2], &due[3]); err != nil {
			return err
		}
		found[host] = earliest(due)
		return nil
	})
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	for host, due := range found {
		h := d.host(host)
		h.due = min(h.due, due)
	}
	for name, h := range d.hosts {
		if _, ok := found[name]; !ok && h.flight == 0 && h.due == never && h.pause.Before(now) {
			delete(d.hosts, name)
		}
	}
	return nil
}

// setHold brings a hold of this process into force at once; nil ends it.
func (d *dispatcher) setHold(host string, h *hold) {
	d.mu.Lock()
	d.holding++
	if h != nil {
		d.holds[host] = *h
	} else {
		delete(d.holds, host)
	}
	d.mu.Unlock()
	d.wake()
}

// readHolds learns of the holds of other processes.
func (d *dispatcher) readHolds(ctx context.Context, from querier) error {
	d.mu.Lock()
	holding := d.holding
	d.mu.Unlock()
	holds, err := d.q.loadHolds(ctx, from)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.holding == holding { // else it may have been read too early
		d.holds = holds
	}
	return nil
}

// isHeld says whether messages to a host are held now.
func (d *dispatcher) isHeld(host string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	h, ok := d.holds[host]
	return ok && h.holds(now)
}

// isBlocked says whether messages to a host must wait, whatever their time.
func (d *dispatcher) isBlocked(host string, now time.Time) bool {
	if d.isHeld(host, now) {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.hosts[host]
	return h != nil && now.Before(h.pause)
}
