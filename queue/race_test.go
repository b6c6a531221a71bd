//go:build race

package queue_test

import "time"

// slack is what the race detector adds to times.
const slack = 4 * time.Second
