//go:build !race

package queue_test

import "time"

// slack is what a machine that does other things too adds to times.
const slack = time.Second
