//go:build linux

package realservers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// postgresUser is whom PostgreSQL runs as when we are root, which it refuses.
const postgresUser = "postgres"

// StartPostgres starts a PostgreSQL whose data goes with it, at its listener
// "postgres"; anybody may log in as the user "postgres". The programs are those
// that are installed, or those of Debian's package.
func StartPostgres() (*Server, error) {
	bin, err := findPostgres("/")
	var packages, users []string
	if os.Getuid() == 0 {
		users = []string{postgresUser}
	}
	if err != nil { // it is not installed
		pkg, err := postgresPackage()
		if err != nil {
			return nil, err
		}
		packages = []string{pkg}
	}
	listeners := []Listener{{Name: "postgres", Does: "PostgreSQL, user postgres, no password", implicit: true}}
	s, err := newServer("postgres", listeners, packages, users)
	if err != nil {
		return nil, err
	}
	if packages != nil {
		// Its user cannot look into the cache, which is root's.
		if err := s.copyPackage(packages[0]); err != nil {
			return nil, joinClose(err, s)
		}
		if bin, err = findPostgres(s.path("pkg")); err != nil {
			return nil, joinClose(err, s)
		}
	}
	if err := s.initPostgres(bin); err != nil {
		return nil, fmt.Errorf("postgres: %w", joinClose(err, s))
	}
	return s.launch()
}

// copyPackage puts what an unpacked package holds into the folder of s: as links,
// or as copies where that is another disk.
func (s *Server) copyPackage(pkg string) error {
	if _, err := run("/", "cp", "-al", s.pkg(pkg, ""), s.path("pkg")); err == nil {
		return nil
	}
	if err := os.RemoveAll(s.path("pkg")); err != nil {
		return err
	}
	_, err := run("/", "cp", "-a", s.pkg(pkg, ""), s.path("pkg"))
	return err
}

// PostgresURL returns where a database of a server is.
func (s *Server) PostgresURL(database string) string {
	return "postgres://postgres@" + s.Addr("postgres") + "/" + database + "?sslmode=disable"
}

// findPostgres returns the folder of the newest PostgreSQL's programs.
func findPostgres(root string) (string, error) {
	found, err := filepath.Glob(filepath.Join(root, "usr/lib/postgresql/*/bin/initdb"))
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("no initdb in %s", root)
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

// postgresPackage returns the name of the package that "postgresql" stands for.
func postgresPackage() (string, error) {
	if err := Supported(); err != nil {
		return "", err
	}
	name := regexp.MustCompile(`(?m)^ *Depends: (postgresql-\d+)$`)
	for range 2 {
		out, err := run("/", "apt-cache", "depends", "postgresql")
		if m := name.FindStringSubmatch(out); err == nil && m != nil {
			return m[1], nil
		}
		// The lists of packages are missing.
		if _, err := run("/", "apt-get", "update", "-qq"); err != nil {
			return "", err
		}
	}
	return "", errors.New("apt knows no package postgresql")
}

// initPostgres makes the data folder and says how to run the server.
func (s *Server) initPostgres(bin string) error {
	var owner *syscall.Credential
	name := ""
	if os.Getuid() == 0 {
		name = postgresUser
		uid, gid, err := idsOf(name)
		if err != nil {
			return err
		}
		owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)} //nolint:gosec // ids
	}
	if err := s.folders(name, "data"); err != nil {
		return err
	}
	if err := os.Chmod(s.path("data"), 0o700); err != nil {
		return err
	}
	// Nothing of it is to outlive the program, so nothing need be on disk when
	// it is made; what is committed later is.
	args := []string{filepath.Join(bin, "initdb"), "-D", s.path("data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"}
	if _, err := runAs(owner, s.dir, args[0], args[1:]...); err != nil {
		return err
	}
	s.processes = []process{{
		Args: []string{filepath.Join(bin, "postgres"), "-D", s.path("data"),
			"-c", "listen_addresses=" + s.host, "-p", strconv.Itoa(s.port("postgres")), "-c", "unix_socket_directories=",
			"-c", "shared_buffers=128MB", "-c", "max_connections=200", "-c", "jit=off",
			"-c", "timezone=GMT", "-c", "log_timezone=GMT"}, // tzdata may not be there
		As:  owner,
		End: syscall.SIGQUIT, // with clients still connected
		Log: s.path("postgres.log"),
	}}
	return nil
}

// AwaitPostgres waits until ready says that the server takes commands, which is a
// moment after it takes connections.
func (s *Server) AwaitPostgres(ready func(url string) error) error {
	end := time.Now().Add(startTime)
	for {
		err := ready(s.PostgresURL("postgres"))
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
