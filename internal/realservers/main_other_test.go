//go:build !linux

package realservers_test

import (
	"fmt"
	"os"
	"testing"
)

func TestMain(*testing.M) {
	fmt.Println("the tests with real mail servers need Linux with apt, and root")
	if os.Getenv("CI") != "" {
		os.Exit(1)
	}
}
