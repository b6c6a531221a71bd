package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/smtpretry/smtpretry/bench/internal/delay"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// childEnv marks this program started by itself. What has a process of its own
// shares no memory, scheduler and collector with those that are measured, and
// what is measured in one has nobody's garbage.
const childEnv = "SMTPRETRY_BENCH_CHILD"

func isChild() bool { return os.Getenv(childEnv) != "" }

// child does one thing until its input ends.
func child(args []string) {
	var err error
	switch args[0] {
	case "server":
		err = serve()
	case "delay":
		err = delayTo(args[1], args[2])
	case "upload":
		err = upload(args[1], args[2], args[3])
	case "waiting":
		err = waiting(args[1], args[2], args[3])
	default:
		err = fmt.Errorf("what is %q?", args)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// serve is the bundled server; asked for it, it counts.
func serve() error {
	var octets atomic.Int64
	s, err := testserver.Listen(testserver.Config{
		MaxSize: 1 << 40, Bodies: testserver.KeepSize, MaxMessages: 1, TranscriptSize: -1,
		OnEvent: func(e testserver.Event) {
			if e.Kind == testserver.Accepted {
				octets.Add(e.Message.Size)
			}
		},
	}, "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Println(s.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		st := s.Stats()
		fmt.Println(st.Accepted, st.Delivered, octets.Load())
	}
	return nil
}

// delayTo makes the way to a server longer.
func delayTo(addr, roundTrip string) error {
	d, err := time.ParseDuration(roundTrip)
	if err != nil {
		return err
	}
	p, err := delay.Listen(addr, d)
	if err != nil {
		return err
	}
	fmt.Println(p.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, p.Close())
}

// A process is a child as its parent sees it.
type process struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said string // its first line
}

func startChild(args ...string) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(exe, args...)}
	p.cmd.Env = append(os.Environ(), childEnv+"=1")
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if p.said, err = p.hear(); err != nil {
		p.close()
		return nil, fmt.Errorf("%q: %w", args, err)
	}
	return p, nil
}

func (p *process) hear() (string, error) {
	line, err := p.out.ReadString('\n')
	return strings.TrimSpace(line), err
}

// ask sends a line and returns the line that comes back.
func (p *process) ask(what string) (string, error) {
	if _, err := io.WriteString(p.in, what+"\n"); err != nil {
		return "", err
	}
	return p.hear()
}

// close ends it.
func (p *process) close() {
	_ = p.in.Close()
	_ = p.cmd.Wait() // its errors are on stderr
}
