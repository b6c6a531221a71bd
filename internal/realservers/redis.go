//go:build linux

package realservers

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
)

// StartRedis starts a Redis that keeps nothing on disk, at its listener "redis"
// and without a password. The program is that which is installed, or that of
// Debian's package.
func StartRedis() (*Server, error) {
	bin, err := exec.LookPath("redis-server")
	var packages []string
	if err != nil { // it is not installed
		packages = []string{"redis-tools"}
	}
	listeners := []Listener{{Name: "redis", Does: "Redis, no password", implicit: true}}
	s, err := newServer("redis", listeners, packages, nil)
	if err != nil {
		return nil, err
	}
	if err := s.folders("", "data"); err != nil {
		return nil, fmt.Errorf("redis: %w", joinClose(err, s))
	}
	if packages != nil {
		// Debian's server is one of the tools under a name that tells it what to do.
		bin = s.path("redis-server")
		if err := os.Symlink(s.pkg("redis-tools", "usr/bin/redis-check-rdb"), bin); err != nil {
			return nil, fmt.Errorf("redis: %w", joinClose(err, s))
		}
	}
	s.processes = []process{{
		Args: []string{bin, "--bind", s.host, "--port", strconv.Itoa(s.port("redis")), "--dir", s.path("data"),
			"--save", "", "--appendonly", "no", "--daemonize", "no"},
		Log: s.path("redis.log"),
	}}
	return s.launch()
}

// RedisURL returns where a server is.
func (s *Server) RedisURL() string { return "redis://" + s.Addr("redis") }
