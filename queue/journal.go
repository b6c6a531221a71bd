package queue

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// An accepted is what one transaction has settled: the server has the message
// for these recipients.
type accepted struct {
	ID     int64  `json:"id"`
	Rcpts  []int  `json:"r"` // places in the entry's list
	Queued string `json:"q,omitempty"`
}

// A journal keeps what servers have accepted from the moment at which their
// reply was read until it is recorded. The record of an attempt is one durable
// transaction for many attempts at once, so it takes some milliseconds; a process
// that is killed meanwhile would send the message again. The journal need only
// outlive the process, not the machine, and that takes microseconds.
//
// It is safe for concurrent use.
type journal interface {
	// write keeps a. The token is for recorded.
	write(ctx context.Context, a accepted) (token int, err error)

	// find returns what was kept for ids and not forgotten.
	find(ctx context.Context, q querier, ids []int64) ([]accepted, error)

	// forget is called within the transaction that records ids, recorded when
	// that is committed, with the tokens of what it records.
	forget(ctx context.Context, tx transaction, ids []int64) error
	recorded(tokens []int)
}

// journalSize is when the other of the two files is taken.
const journalSize = 1 << 20

// A fileJournal is two files beside the SQLite file. What is written to a file
// is with the operating system, so it outlives the process. One is written to;
// a file none of whose lines is needed any more is emptied.
type fileJournal struct {
	mu      sync.Mutex
	files   [2]*os.File
	size    [2]int64
	needed  [2]int
	current int
	found   map[int64][]accepted // what a process before this one left
}

func openJournal(name string) (_ *fileJournal, err error) {
	j := &fileJournal{found: map[int64][]accepted{}}
	defer func() {
		if err != nil {
			_ = j.close()
		}
	}()
	for i := range j.files {
		f, err := os.OpenFile(name+"-"+strconv.Itoa(i), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
		if err != nil {
			return nil, err
		}
		j.files[i] = f
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			// The last line may be broken off.
			if a, ok := parseAccepted(lines.Text()); ok {
				j.found[a.ID] = append(j.found[a.ID], a)
			}
		}
		if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
			return nil, err
		}
		// A line of ours must not join onto a broken one.
		if _, err := f.Write([]byte("\n")); err != nil {
			return nil, err
		}
	}
	return j, nil
}

// clear empties both files, once what was found is recorded.
func (j *fileJournal) clear() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.found = nil
	for i, f := range j.files {
		if j.needed[i] > 0 {
			continue
		}
		if err := f.Truncate(0); err != nil {
			return err
		}
		j.size[i] = 0
	}
	return nil
}

func formatAccepted(a accepted) ([]byte, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(text), text), nil
}

func parseAccepted(line string) (a accepted, ok bool) {
	sum, text, _ := strings.Cut(line, " ")
	want, err := strconv.ParseUint(sum, 16, 32)
	if err != nil || crc32.ChecksumIEEE([]byte(text)) != uint32(want) {
		return a, false
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	return a, dec.Decode(&a) == nil
}

func (j *fileJournal) write(_ context.Context, a accepted) (int, error) {
	line, err := formatAccepted(a)
	if err != nil {
		return 0, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if other := 1 - j.current; j.size[j.current] >= journalSize && j.needed[other] == 0 {
		if err := j.files[other].Truncate(0); err == nil {
			j.size[other], j.current = 0, other
		}
	}
	n, err := j.files[j.current].Write(line)
	j.size[j.current] += int64(n)
	if err != nil {
		return 0, err
	}
	j.needed[j.current]++
	return j.current, nil
}

func (j *fileJournal) find(_ context.Context, _ querier, ids []int64) (all []accepted, _ error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, id := range ids {
		all = append(all, j.found[id]...)
	}
	return all, nil
}

func (j *fileJournal) forget(context.Context, transaction, []int64) error { return nil }

func (j *fileJournal) recorded(tokens []int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, t := range tokens {
		j.needed[t]--
	}
}

func (j *fileJournal) close() error {
	var errs []error
	for _, f := range j.files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// merge adds what the journal kept to what an entry knows.
func merge(rcpts []recipient, kept []accepted) (queued string, changed bool) {
	for _, a := range kept {
		for _, i := range a.Rcpts {
			if i < 0 || i >= len(rcpts) || rcpts[i].isAccepted() {
				continue
			}
			rcpts[i].accept()
			queued, changed = a.Queued, true
		}
	}
	return queued, changed
}

// places returns the places of those of the given addresses that are open.
func places(rcpts []recipient, addrs []string) (at []int) {
	for i := range rcpts {
		if rcpts[i].isOpen() && slices.Contains(addrs, rcpts[i].Addr) {
			at = append(at, i)
		}
	}
	return at
}
