//go:build linux

package realservers

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// StartRelay starts a Postfix that keeps what it takes, at its listener
// "relay", until Release and Flush, and then hands it on to next, host:port, over
// at most conns connections at once.
func StartRelay(next string, conns int) (*Server, error) {
	host, port, err := net.SplitHostPort(next)
	if err != nil {
		return nil, err
	}
	listeners := []Listener{{Name: "relay", Does: "keeps what it takes, then hands it on to " + next}}
	s, err := newServer("relay", listeners, []string{"postfix"}, []string{"postfix", "postdrop"})
	if err != nil {
		return nil, err
	}
	route := fmt.Sprintf("\nrelayhost = [%s]:%s\ndefault_destination_concurrency_limit = %d\n", host, port, conns)
	if err := s.prepareRelay(route); err != nil {
		return nil, fmt.Errorf("relay: %w", joinClose(err, s))
	}
	return s.launch()
}

func (s *Server) prepareRelay(route string) error {
	if err := s.fill("relay", "etc"); err != nil {
		return err
	}
	conf, err := os.OpenFile(s.path("etc/main.cf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer conf.Close()
	if _, err := conf.WriteString(route); err != nil {
		return err
	}
	return s.readyPostfix()
}

// Release puts what a relay has kept among what it may hand on, some time.
func (s *Server) Release() error {
	_, err := s.postfixTool("postsuper", "-H", "ALL")
	return err
}

// Flush makes a relay begin with that.
func (s *Server) Flush() error {
	_, err := s.postfixTool("postqueue", "-f")
	return err
}

// unpackedPostfix is where Postfix is, for its programs that are no servers.
var unpackedPostfix = sync.OnceValues(func() (string, error) { return unpack([]string{"postfix"}, nil) })

// Source is Postfix's smtp-source with its arguments, to be run.
func Source(args ...string) (*exec.Cmd, error) {
	root, err := unpackedPostfix()
	if err != nil {
		return nil, err
	}
	s := Server{packages: root}
	cmd := exec.Command(s.pkg("postfix", "usr/sbin/smtp-source"), args...)
	cmd.Env = append(os.Environ(), s.postfixLibs())
	return cmd, nil
}

// PostfixVersion returns that of the Postfix that is used here.
func PostfixVersion() (string, error) {
	root, err := unpackedPostfix()
	if err != nil {
		return "", err
	}
	s := Server{packages: root}
	out, err := run("/", "env", s.postfixLibs(), s.pkg("postfix", "usr/sbin/postconf"), "-d", "-h", "mail_version")
	return strings.TrimSpace(out), err
}
