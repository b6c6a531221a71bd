//go:build !linux

// Command servers runs real mail servers on loopback; it needs Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "servers: Linux is needed")
	os.Exit(1)
}
