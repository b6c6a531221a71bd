//go:build linux

package realservers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// A Sink is one smtp-sink: its name and the options it is given.
type Sink struct {
	Name    string
	Options []string
}

// StartSinks starts one smtp-sink for each, which are its listeners.
func StartSinks(sinks []Sink) (*Server, error) {
	var listeners []Listener
	for _, k := range sinks {
		listeners = append(listeners, Listener{Name: k.Name, Does: "smtp-sink " + strings.Join(k.Options, " ")})
	}
	s, err := newServer("sink", listeners, []string{"postfix"}, nil)
	if err != nil {
		return nil, err
	}
	for _, k := range sinks {
		if err := s.folders("nobody", k.Name); err != nil {
			return nil, fmt.Errorf("smtp-sink: %w", joinClose(err, s))
		}
		args := append([]string{s.pkg("postfix", "usr/sbin/smtp-sink"), "-u", "nobody", "-4", "-m", "1000",
			"-d", s.path(k.Name) + "/"}, k.Options...)
		s.processes = append(s.processes, process{
			Args: append(args, s.Addr(k.Name), strconv.Itoa(1000)),
			Env:  []string{"LD_LIBRARY_PATH=" + s.pkg("postfix", "usr/lib/postfix")},
			Log:  s.path(k.Name + ".log"),
		})
	}
	return s.launch()
}

// Sunk returns the messages, of a few kilobytes at most, that a sink has seen
// up to the final dot, each with the envelope in its first lines.
func (s *Server) Sunk(name string) ([]string, error) {
	entries, err := os.ReadDir(s.path(name))
	if err != nil {
		return nil, err
	}
	var messages []string
	for _, e := range entries {
		content, err := os.ReadFile(s.path(name + "/" + e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // given up meanwhile
		}
		if err != nil {
			return nil, err
		}
		if len(content) > 0 { // begun; written when it has ended
			messages = append(messages, string(content))
		}
	}
	return messages, nil
}
