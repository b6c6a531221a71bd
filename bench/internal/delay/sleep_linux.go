package delay

import (
	"syscall"
	"time"
)

// sleep is exact to some 0.1 ms, where time.Sleep may be a whole one late.
func sleep(d time.Duration) {
	for end := time.Now().Add(d); d > 0; d = time.Until(end) {
		t := syscall.NsecToTimespec(int64(d))
		_ = syscall.Nanosleep(&t, nil) // again when a signal has cut it short
	}
}
