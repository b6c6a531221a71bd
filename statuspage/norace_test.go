//go:build !race

package statuspage_test

const raceOn = false
