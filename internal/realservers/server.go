//go:build linux

package realservers

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"text/template"
	"time"
)

const (
	// RateUnit is the window of the limits per time.
	RateUnit = 4 * time.Second

	// GreyDelay is how long the greylist puts a new triplet off. It is longer
	// than the shortest wait that smtpretry reads out of a reply.
	GreyDelay = 11 * time.Second

	// firstPort is that of a server's first listener; the others follow.
	firstPort = 2525

	// startTime is how long a server may take until it answers.
	startTime = 30 * time.Second
)

//go:embed postfix relay exim opensmtpd
var templates embed.FS

// A Listener is one port of a server, with a behaviour of its own.
type Listener struct {
	Name, Does string
	implicit   bool // TLS from the first octet
}

// A Server is a running mail server. Its methods are safe for concurrent use,
// but for those that stop or start it.
type Server struct {
	dir       string // its configuration, queue and logs
	host      string // its address
	packages  string // where its packages are unpacked
	listeners []Listener
	processes []process
	logs      []string // beside those of the processes

	mu    sync.Mutex
	guard *guardian // nil: stopped
}

// newServer makes a server's folder and finds an address for it.
func newServer(family string, listeners []Listener, packages, users []string) (*Server, error) {
	root, err := unpack(packages, users)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "smtpretry-"+family+"-*")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, packages: root, listeners: listeners}
	s.host, err = freeHost(len(listeners) + 1)
	err = errors.Join(err, os.Chmod(dir, 0o755)) //nolint:gosec // servers switch users
	if err == nil {
		err = writeCerts(dir, s.host)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// freeHost picks an address that nobody uses, with n ports.
func freeHost(n int) (string, error) {
	var err error
	for range 100 {
		// 127.0.0.0/16 is left to clients.
		host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
		if err = portsFree(host, n); err == nil {
			return host, nil
		}
	}
	return "", fmt.Errorf("no free loopback address: %w", err)
}

func portsFree(host string, n int) error {
	for i := range n {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(firstPort+i)))
		if err != nil {
			return err
		}
		l.Close()
	}
	return nil
}

// launch starts s for the first time. If that fails, nothing is left of it.
func (s *Server) launch() (*Server, error) {
	if err := s.Start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Start starts a server that was stopped, and waits until it answers. Its
// addresses and its queue are those it had.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.guard != nil {
		return errors.New("it runs already")
	}
	g, err := startGuard(watch{Dir: s.dir, Processes: s.processes}, s.path("guard.log"))
	if err != nil {
		return err
	}
	s.guard = g
	for _, l := range s.listeners {
		if err := s.await(l); err != nil {
			return fmt.Errorf("%s does not answer: %w\n%s", l.Name, err, tail(s.Log(), 20))
		}
	}
	return nil
}

// await connects until somebody answers, or hangs up, from an address that no
// test uses, since the server counts it.
func (s *Server) await(l Listener) error {
	from := net.Dialer{Timeout: time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 255, 1)}}
	end := time.Now().Add(startTime)
	for {
		conn, err := from.Dial("tcp", s.Addr(l.Name))
		if err == nil {
			defer conn.Close()
			if l.implicit {
				return nil
			}
			_ = conn.SetReadDeadline(end)
			if _, err = conn.Read(make([]byte, 1)); err == nil || err == io.EOF || errors.Is(err, syscall.ECONNRESET) {
				return nil
			}
			return err
		}
		select {
		case <-s.guard.ended:
			return fmt.Errorf("it has ended: %w", s.guard.err)
		default:
		}
		if time.Now().After(end) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Stop asks the server to end, as its administrator would, and waits until it
// has.
func (s *Server) Stop() error { return s.end(orderStop) }

// Kill ends all its processes at once.
func (s *Server) Kill() error { return s.end(orderKill) }

func (s *Server) end(order byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.guard == nil {
		return errors.New("it does not run")
	}
	defer func() { s.guard = nil }()
	return s.guard.tell(order)
}

// Close ends the server and removes its folder.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.guard != nil {
		err = s.guard.close()
		s.guard = nil
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// Listeners returns what the server listens on.
func (s *Server) Listeners() []Listener { return s.listeners }

// Addr returns the address, host:port, of a listener.
func (s *Server) Addr(name string) string {
	return net.JoinHostPort(s.host, strconv.Itoa(s.port(name)))
}

func (s *Server) port(name string) int {
	for i, l := range s.listeners {
		if l.Name == name {
			return firstPort + i
		}
	}
	panic("realservers: there is no listener " + name)
}

// sparePort is one that no listener has.
func (s *Server) sparePort() int { return firstPort + len(s.listeners) }

// Log returns all that the server has logged so far.
func (s *Server) Log() string {
	var b strings.Builder
	files := append([]string{s.path("guard.log")}, s.logs...)
	for _, p := range s.processes {
		files = append(files, p.Log)
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil && !os.IsNotExist(err) {
			fmt.Fprintln(&b, err)
		}
		b.Write(content)
	}
	return b.String()
}

func tail(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// pkg returns where a file of a package is.
func (s *Server) pkg(pkg, name string) string { return filepath.Join(s.packages, pkg, name) }

// folders makes folders of s, for a user to write to if owner is not empty.
func (s *Server) folders(owner string, names ...string) error {
	for _, name := range names {
		path := s.path(name)
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		if owner == "" {
			continue
		}
		uid, gid, err := idsOf(owner)
		if err != nil {
			return err
		}
		if err := os.Chown(path, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

// fill writes s's files from the templates of the same names in a folder.
func (s *Server) fill(folder, to string) error {
	if err := s.folders("", to); err != nil {
		return err
	}
	files, err := templates.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, f := range files {
		t := template.New(f.Name()).Funcs(template.FuncMap{"addr": s.Addr, "port": s.port, "pkg": s.pkg})
		if t, err = t.ParseFS(templates, folder+"/"+f.Name()); err != nil {
			return err
		}
		var b strings.Builder
		if err := t.Execute(&b, s.values()); err != nil {
			return err
		}
		name := filepath.Join(to, strings.TrimSuffix(f.Name(), ".tmpl"))
		if err := os.WriteFile(s.path(name), []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// values are what the templates are filled with.
func (s *Server) values() map[string]any {
	var ports []int
	for _, l := range s.listeners {
		ports = append(ports, s.port(l.Name))
	}
	return map[string]any{
		"Dir": s.dir, "Host": s.host, "Name": Name, "Ports": ports, "SparePort": s.sparePort(),
		"RateUnit": int(RateUnit / time.Second), "User": User, "Password": Password,
		"BadCerts": []string{certExpired, certOtherName, certUnknownCA},
	}
}

// joinClose adds what goes wrong in giving s up to err.
func joinClose(err error, s *Server) error { return errors.Join(err, s.Close()) }
