//go:build linux

package realservers

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	guardEnv = "SMTPRETRY_SERVERS_GUARD"

	// graceTime is how long servers may take to end when asked to.
	graceTime = 3 * time.Second

	prSetChildSubreaper = 36 // PR_SET_CHILD_SUBREAPER of linux/prctl.h
)

// What a guard may be told. The end of its input means orderStop and that the
// folder goes too.
const (
	orderStop = 's' // ask the servers to end, kill what is left
	orderKill = 'k' // kill them at once
)

// A process is one to run, in the foreground.
type process struct {
	Args   []string
	Env    []string // beside the program's
	Chroot string
	As     *syscall.Credential // nil: as we are
	End    syscall.Signal      // what asks it to end; 0: SIGTERM
	Log    string              // the file for its output
}

// A watch is what a guard is started with.
type watch struct {
	Dir       string // to be removed at the end
	Processes []process
}

// Any program that can start a guard is one.
func init() {
	if os.Getenv(guardEnv) == "" {
		return
	}
	if err := guard(); err != nil {
		fmt.Fprintln(os.Stderr, "guard:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// guard starts the processes and sees to it that they, and all that they
// start, end before it does.
func guard() error {
	// Its input decides, not signals. Ignoring them would be inherited.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	os.Unsetenv(guardEnv)
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var w watch
	if err := json.Unmarshal(line, &w); err != nil {
		return err
	}
	// Orphans among its descendants become its children.
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		return fmt.Errorf("prctl: %w", errno)
	}
	leaders := map[int]syscall.Signal{} // with what asks each to end
	var failed error
	for _, p := range w.Processes {
		pid, err := p.start()
		if err != nil {
			failed = err
			break
		}
		leaders[pid] = cmp.Or(p.End, syscall.SIGTERM)
	}
	ended := make(chan int)
	go reap(ended)
	order := make(chan byte, 1)
	go func() {
		b, err := in.ReadByte()
		if err != nil {
			b = 0
		}
		order <- b
	}()

	var told byte
	for failed == nil {
		select {
		case told = <-order:
		case pid := <-ended:
			if _, ok := leaders[pid]; !ok {
				continue
			}
			delete(leaders, pid)
			failed = fmt.Errorf("process %d has ended by itself", pid)
		}
		break
	}
	if told != orderKill {
		for pid, end := range leaders {
			_ = syscall.Kill(pid, end)
		}
		grace := time.After(graceTime)
		for over := false; len(leaders) > 0 && !over; {
			select {
			case pid := <-ended:
				delete(leaders, pid)
			case <-grace:
				over = true
			}
		}
	}
	go func() {
		for range ended { // nobody asks any more
		}
	}()
	killAll()
	if failed != nil || told != 0 {
		return failed // the logs may be wanted
	}
	return os.RemoveAll(w.Dir)
}

func (p *process) start() (int, error) {
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	cmd := exec.Command(p.Args[0], p.Args[1:]...)
	cmd.Dir, cmd.Env = "/", append(os.Environ(), p.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Chroot: p.Chroot, Credential: p.As}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	return cmd.Process.Pid, nil
}

// reap tells of each child that has ended, adopted ones too. There may be none
// for a while.
func reap(ended chan<- int) {
	for {
		switch pid, err := syscall.Wait4(-1, nil, 0, nil); err {
		case nil:
			ended <- pid
		case syscall.ECHILD:
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// killAll returns when there are no descendants any more.
func killAll() {
	for {
		pids := descendants(os.Getpid())
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// descendants returns the processes below one, in no order.
func descendants(root int) []int {
	children := map[int][]int{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if parent, ok := parentOf(pid); ok {
			children[parent] = append(children[parent], pid)
		}
	}
	below := children[root]
	for i := 0; i < len(below); i++ {
		below = append(below, children[below[i]]...)
	}
	return below
}

func parentOf(pid int) (int, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// The name, in parentheses, may hold anything; state and parent follow.
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(fields[1])
	return parent, err == nil
}

// A guardian is this program's end of a guard.
type guardian struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	ended chan struct{} // closed when the guard is gone
	err   error         // why, once ended is closed
}

// startGuard starts w's processes.
func startGuard(w watch, log string) (*guardian, error) {
	spec, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	g := &guardian{cmd: exec.Command("/proc/self/exe"), ended: make(chan struct{})}
	g.cmd.Env = append(os.Environ(), guardEnv+"=1")
	g.cmd.Stdout, g.cmd.Stderr = out, out
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // ^C is for the program
	if g.in, err = g.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		g.err = g.cmd.Wait()
		close(g.ended)
	}()
	_, err = g.in.Write(append(spec, '\n'))
	return g, err
}

// tell gives an order and waits until it is carried out.
func (g *guardian) tell(order byte) error {
	if _, err := g.in.Write([]byte{order}); err != nil {
		return err
	}
	<-g.ended
	return g.err
}

// close ends the servers and removes their folder.
func (g *guardian) close() error {
	g.in.Close()
	<-g.ended
	return g.err
}
