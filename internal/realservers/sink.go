//go:build linux

package realservers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// A Sink is one smtp-sink: its name and the options it is given. It keeps what
// it gets, for Sunk; one that counts only does nothing else, for Counted.
type Sink struct {
	Name    string
	Options []string
	Counts  bool
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
		args := []string{s.pkg("postfix", "usr/sbin/smtp-sink"), "-u", "nobody", "-4", "-m", "1000"}
		if k.Counts {
			args = append(args, "-c")
		} else {
			args = append(args, "-d", s.path(k.Name)+"/")
		}
		args = append(args, k.Options...)
		s.processes = append(s.processes, process{
			Args: append(args, s.Addr(k.Name), strconv.Itoa(1000)),
			Env:  []string{"LD_LIBRARY_PATH=" + s.pkg("postfix", "usr/lib/postfix")},
			Log:  s.path(k.Name + ".log"),
		})
	}
	return s.launch()
}

// Counted returns how many messages a sink that counts has seen up to the
// final dot.
func (s *Server) Counted(name string) (int, error) {
	f, err := os.Open(s.path(name + ".log"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	last := make([]byte, min(end, 200)) // each count is written behind the one before
	if _, err := f.ReadAt(last, end-int64(len(last))); err != nil {
		return 0, err
	}
	i := bytes.LastIndex(last, []byte("mesg="))
	j := bytes.LastIndexByte(last, '\r')
	if i > j { // being written
		i = bytes.LastIndex(last[:i], []byte("mesg="))
	}
	if i < 0 || j < 0 {
		return 0, nil // nobody has connected
	}
	return strconv.Atoi(string(last[i+len("mesg=") : j]))
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
