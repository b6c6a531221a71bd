package queue

import (
	"time"

	"github.com/smtpretry/smtpretry"
)

// Again is again, for tables.
func Again(p *smtpretry.Policy, tries int, v smtpretry.Verdict, now, until time.Time, chance float64) (time.Time, bool) {
	return again(p, tries, v, now, until, chance)
}

// IsHeld says whether q knows that a host is held.
func IsHeld(q *Queue, host string) bool { return q.d.isHeld(host, time.Now()) }

// SetNodeSilence makes others' messages be taken over sooner. It is for before
// the first queue is opened.
func SetNodeSilence(d time.Duration) { nodeSilence = d }

// JournalRoundTrip writes acceptances for entries to a journal, cuts the last
// octets off its file, and returns how many a new one finds for each.
func JournalRoundTrip(name string, ids []int64, cut func(file string) error) (found []int, err error) {
	j, err := openJournal(name)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if _, err := j.write(nil, accepted{ID: id, Rcpts: []int{0}, Queued: "250 ok"}); err != nil { //nolint:staticcheck // files need no context
			return nil, err
		}
	}
	if err := j.close(); err != nil {
		return nil, err
	}
	if err := cut(name + "-0"); err != nil {
		return nil, err
	}
	if j, err = openJournal(name); err != nil {
		return nil, err
	}
	defer j.close()
	for _, id := range ids {
		kept, err := j.find(nil, nil, []int64{id}) //nolint:staticcheck // files need no context
		if err != nil {
			return nil, err
		}
		found = append(found, len(kept))
	}
	return found, nil
}
