package main_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/smtpretry/smtpretry" // a cached result does not stand when it changes
	"github.com/smtpretry/smtpretry/internal/testserver"
)

var update = flag.Bool("update", false, "write docs/drop-in.md")

// builds are the tags with which the programs use smtpretry.
var builds = []string{"wrap", "dialer"}

// TestDropIn runs each program once with go-smtp and once for each way to use
// smtpretry, and compares what the server got, octet by octet, what the program
// printed, and how it ended. What differs must be declared with a reason, and
// be what docs/drop-in.md shows.
func TestDropIn(t *testing.T) {
	for _, tag := range builds {
		if _, err := os.Stat("client_" + tag + ".go"); err != nil { // nor when these change
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	for _, tag := range append([]string{"gosmtp"}, builds...) {
		out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", tag, "-o", filepath.Join(dir, tag), ".").CombinedOutput()
		if err != nil {
			t.Fatalf("go build -tags %s: %v\n%s", tag, err, out)
		}
	}
	pages := make([]string, len(uses))
	t.Run("uses", func(t *testing.T) {
		for i, u := range uses {
			t.Run(u.program+", "+u.server, func(t *testing.T) {
				t.Parallel()
				theirs := run(t, filepath.Join(dir, "gosmtp"), u)
				shown := make(map[string][]string) // what differs → in which builds
				for _, tag := range builds {
					ours := run(t, filepath.Join(dir, tag), u)
					why, declared := u.differs[tag]
					diff := theirs.diff(ours)
					switch {
					case diff == "" && declared:
						t.Errorf("%s does not differ, but: %s", tag, why)
					case diff != "" && !declared:
						t.Errorf("%s differs from go-smtp:\n%s", tag, diff)
					case diff != "":
						text := why + "\n\n```diff\n" + diff + "```\n"
						shown[text] = append(shown[text], tag)
					}
				}
				for _, text := range slices.SortedFunc(maps.Keys(shown), func(a, b string) int { return -strings.Compare(shown[a][0], shown[b][0]) }) {
					pages[i] += fmt.Sprintf("\n## %s, %s (%s)\n\n%s", u.program, u.server, strings.Join(shown[text], ", "), text)
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	document(t, pages)
}

// seen is what one run of a program showed.
type seen struct {
	out   string   // what it printed, and how it ended
	conns []string // what the server got on each connection
}

// address is what differs from run to run in an error's text.
var address = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// run runs a program against a server of its own.
func run(t *testing.T, binary string, u use) seen {
	t.Helper()
	var rec recorder
	cfg := u.cfg
	cfg.OnInput, cfg.OnEvent = rec.input, rec.event
	srv, err := testserver.Listen(cfg, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	addr := srv.Addr()
	if u.host != "" {
		addr = strings.Replace(addr, "127.0.0.1", u.host, 1)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, u.program, addr)
	if pem := srv.CertPEM(); pem != nil {
		roots := filepath.Join(t.TempDir(), "roots.pem")
		if err := os.WriteFile(roots, pem, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Environ(), "DROPIN_ROOTS="+roots)
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%s: %v, %v\n%s", filepath.Base(binary), err, ctx.Err(), out)
	}
	s := seen{out: address.ReplaceAllString(string(out), "ADDR") + cmd.ProcessState.String() + "\n"}
	if s.conns = rec.all(ctx); ctx.Err() != nil {
		t.Fatal("the server's sessions do not end")
	}
	if u.named != "" { // by the machine's name
		name, err := os.Hostname()
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(binary) != "gosmtp" {
			for i := range s.conns {
				s.conns[i] = strings.ReplaceAll(s.conns[i], "EHLO "+name+"\r\n", "EHLO "+u.named+"\r\n")
			}
		}
	}
	return s
}

// diff shows what is not the same in o; "" if all is.
func (s seen) diff(o seen) string {
	var b strings.Builder
	section := func(name, mine, other string) {
		if mine != other {
			fmt.Fprintf(&b, "# %s\n%s", name, changed(lines(mine), lines(other)))
		}
	}
	section("the program prints", s.out, o.out)
	for i := range max(len(s.conns), len(o.conns)) {
		var mine, other string
		if i < len(s.conns) {
			mine = s.conns[i]
		}
		if i < len(o.conns) {
			other = o.conns[i]
		}
		section(fmt.Sprintf("connection %d", i+1), mine, other)
	}
	return b.String()
}

// lines gives the lines of s so that every octet shows: those that are not
// printable text ending in the usual way are quoted.
func lines(s string) []string {
	var all []string
	for line := range strings.Lines(s) {
		text, ok := strings.CutSuffix(line, "\n")
		text = strings.TrimSuffix(text, "\r")
		if q := fmt.Sprintf("%q", text); !ok || q != `"`+text+`"` || text == "" {
			text = fmt.Sprintf("%q", line)
		}
		all = append(all, text)
	}
	return all
}

// changed marks the lines from the first that differs to the last, with one
// before them.
func changed(a, b []string) string {
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	var out strings.Builder
	if same > 0 {
		out.WriteString("  " + a[same-1] + "\n")
	}
	a, b = a[same:], b[same:]
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	for _, line := range a {
		out.WriteString("- " + line + "\n")
	}
	for _, line := range b {
		out.WriteString("+ " + line + "\n")
	}
	return out.String()
}

// A recorder keeps what a server got.
type recorder struct {
	mu    sync.Mutex
	conns []*bytes.Buffer
	open  int
	ended chan struct{} // closed when open is 0 and somebody waits
}

// event is a testserver.Config.OnEvent.
func (r *recorder) event(e testserver.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e.Kind {
	case testserver.Opened:
		r.conn(e.Conn)
		r.open++
	case testserver.Closed:
		if r.open--; r.open == 0 && r.ended != nil {
			close(r.ended)
			r.ended = nil
		}
	}
}

// input is a testserver.Config.OnInput.
func (r *recorder) input(conn int, p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conn(conn).Write(p)
}

func (r *recorder) conn(n int) *bytes.Buffer {
	for len(r.conns) < n {
		r.conns = append(r.conns, new(bytes.Buffer))
	}
	return r.conns[n-1]
}

// all returns what came on each connection, once all have ended.
func (r *recorder) all(ctx context.Context) []string {
	r.mu.Lock()
	if r.open > 0 {
		ended := make(chan struct{})
		r.ended = ended
		r.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
		}
		r.mu.Lock()
	}
	defer r.mu.Unlock()
	var all []string
	for _, c := range r.conns {
		all = append(all, c.String())
	}
	return all
}

// head begins docs/drop-in.md.
const head = `# go-smtp and smtpretry, side by side

The programs in internal/dropin are written for go-smtp's client. Each is built from the same
source in three ways: with that client, with smtpretry.Wrap around it (wrap), and with
smtpretry.New (dialer, without pipelining). Each then runs against a server that does what is said here. Compared are
the octets that the server gets on each connection, those under TLS too, what the program prints,
and how it ends. Of %d runs, %d are the same in all three, and the others differ in what is shown,
and in nothing else: - is go-smtp, + smtpretry. Written by make generate.
`

// document compares docs/drop-in.md with what was seen, or writes it.
func document(t *testing.T, pages []string) {
	t.Helper()
	var same []string
	for i, u := range uses {
		if pages[i] == "" {
			same = append(same, "- "+u.program+", "+u.server+"\n")
		}
	}
	page := fmt.Sprintf(head, len(uses), len(same)) + strings.Join(pages, "") +
		"\n## The same\n\n" + strings.Join(same, "")
	name := filepath.Join("..", "..", "docs", "drop-in.md")
	if *update {
		if err := os.WriteFile(name, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if was, err := os.ReadFile(name); err != nil || string(was) != page {
		t.Errorf("%s is not what was seen (%v); look at it, then run make generate", name, err)
	}
}
