//go:build linux

// Command servers runs real mail servers on loopback until it is interrupted,
// and prints what each of their ports does.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/smtpretry/smtpretry/internal/realservers"
)

var sinks = []realservers.Sink{
	{Name: "sink"},
	{Name: "sink-tempfail", Options: []string{"-r", "RCPT"}},
	{Name: "sink-permfail", Options: []string{"-f", "RCPT"}},
	{Name: "sink-421-banner", Options: []string{"-Q", "CONNECT"}},
	{Name: "sink-421-data", Options: []string{"-Q", "DATA"}},
	{Name: "sink-drop-dot", Options: []string{"-q", "."}},
	{Name: "sink-slow", Options: []string{"-W", "RCPT:2"}},
	{Name: "sink-helo", Options: []string{"-e"}},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() (err error) {
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	for _, start := range []func() (*realservers.Server, error){
		realservers.StartPostfix,
		realservers.StartExim,
		realservers.StartOpenSMTPD,
		func() (*realservers.Server, error) { return realservers.StartSinks(sinks) },
	} {
		s, serr := start()
		if serr != nil {
			return serr
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		for _, l := range s.Listeners() {
			fmt.Printf("%-24s %-21s %s\n", l.Name, s.Addr(l.Name), l.Does)
		}
	}
	fmt.Printf("A window is %v, the greylist's delay %v. ^C ends them all.\n", realservers.RateUnit, realservers.GreyDelay)
	<-interrupt
	return nil
}
