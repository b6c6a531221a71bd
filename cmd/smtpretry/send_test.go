package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
	"github.com/smtpretry/smtpretry/queue"
)

const note = "From: Me <me@example.org>\nTo: You <you@example.net>, two@example.net\nBcc: three@example.com\nSubject: hello\n\nHello there.\n"

// listen serves cfg over TCP until the test ends.
func listen(t *testing.T, cfg testserver.Config) (*testserver.Server, string) {
	t.Helper()
	srv, err := testserver.Listen(cfg, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return srv, srv.Addr()
}

// write makes a file and returns its name.
func write(t *testing.T, name, content string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSendWays(t *testing.T) {
	headerOnes := []string{"you@example.net", "two@example.net", "three@example.com"}
	eml, txt := write(t, "a.eml", note), write(t, "a.txt", note)
	for _, tt := range []struct {
		name  string
		args  []string
		from  string
		to    []string
		lines int // of the body behind the header
	}{
		{"standard input", nil, "me@example.org", headerOnes, 1},
		{"file", []string{eml}, "me@example.org", headerOnes, 1},
		{"file of another name", []string{"--file", txt}, "me@example.org", headerOnes, 1},
		{"recipients", []string{eml, "a@example.net", "Bob <b@example.net>, c@example.net"}, "me@example.org", []string{"a@example.net", "b@example.net", "c@example.net"}, 1},
		{"-t and recipients", []string{"-t", "--", "a@example.net"}, "me@example.org", append([]string{"a@example.net"}, headerOnes...), 1},
		{"-f", []string{"-f", "bounces@example.org", eml}, "bounces@example.org", headerOnes, 1},
		{"-f joined", []string{"-fbounces@example.org", "-oi", "-oem", "-bm", "a@example.net"}, "bounces@example.org", []string{"a@example.net"}, 1},
		{"-r, null sender", []string{"-r", "<>", "a@example.net"}, "", []string{"a@example.net"}, 1},
		{"-f empty", []string{"-f", "", "a@example.net"}, "", []string{"a@example.net"}, 1},
		{"local names", []string{"--domain", "host.example", "-f", "cron", "root"}, "cron@host.example", []string{"root@host.example"}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv, addr := listen(t, testserver.Config{})
			got := call(t.Context(), env{envServer: addr}, strings.NewReader(note), append([]string{"send"}, tt.args...)...)
			if got.code != 0 || got.errs != "" {
				t.Fatalf("exit code %d: %s", got.code, got.errs)
			}
			held := srv.Messages()
			if len(held) != 1 || held[0].From != tt.from || !slices.Equal(held[0].Addrs(), tt.to) {
				t.Fatalf("the server holds %+v, want one from %q to %q", held, tt.from, tt.to)
			}
			body := string(held[0].Body)
			if strings.Contains(body, "Bcc") || strings.Contains(body, "three@") || !strings.Contains(body, "Message-Id: <") || !strings.Contains(body, "Date: ") ||
				!strings.HasSuffix(body, "\r\nSubject: hello\r\n\r\nHello there.\r\n") {
				t.Errorf("the server holds %q", body)
			}
			for _, to := range tt.to {
				if !strings.Contains(got.out, "accepted  "+to+"  2.0.0 Ok: queued as ") {
					t.Errorf("it says %q, want that %s has it", got.out, to)
				}
			}
		})
	}
}

func TestSendDot(t *testing.T) {
	for flag, want := range map[string]string{"-i": "a\r\n.\r\nb\r\n", "-oi": "a\r\n.\r\nb\r\n", "-t": "a\r\n"} {
		srv, addr := listen(t, testserver.Config{})
		got := call(t.Context(), env{envServer: addr}, strings.NewReader("From: me@example.org\nTo: you@example.net\n\na\n.\nb\n"), "send", flag)
		if held := srv.Messages(); got.code != 0 || len(held) != 1 || !strings.HasSuffix(string(held[0].Body), "\r\n\r\n"+want) {
			t.Errorf("%s: exit code %d, %s, the server holds %+v; want %q", flag, got.code, got.errs, held, want)
		}
	}
}

func TestSendNotifications(t *testing.T) {
	srv, addr := listen(t, testserver.Config{})
	got := call(t.Context(), env{envServer: addr}, strings.NewReader(note), "send", "-N", "failure,delay", "-R", "hdrs", "-V", "id-1", "a@example.net")
	held := srv.Messages()
	if got.code != 0 || len(held) != 1 {
		t.Fatalf("exit code %d, %s", got.code, got.errs)
	}
	if p := held[0].Params; p["RET"] != "HDRS" || p["ENVID"] != "id-1" || held[0].To[0].Params["NOTIFY"] != "FAILURE,DELAY" {
		t.Errorf("the server was told %v and %v", p, held[0].To[0].Params)
	}
}

func TestSend8Bit(t *testing.T) {
	srv, addr := listen(t, testserver.Config{})
	const utf8 = "From: me@example.org\nTo: jörg@example.net\nSubject: hällo\n\nhällo\n"
	if got := call(t.Context(), env{envServer: addr}, strings.NewReader(utf8), "send"); got.code != 0 {
		t.Fatalf("exit code %d, %s", got.code, got.errs)
	}
	if m := srv.Messages()[0]; !m.UTF8 || m.Params["BODY"] != "8BITMIME" || !strings.Contains(string(m.Body), "Subject: hällo\r\n\r\nhällo\r\n") {
		t.Errorf("the server holds %+v", m)
	}
	_, plain := listen(t, testserver.Config{Without: []string{"SMTPUTF8"}})
	if got := call(t.Context(), env{envServer: plain}, strings.NewReader(utf8), "send"); got.code != 1 || !strings.Contains(got.out, "SMTPUTF8") {
		t.Errorf("without SMTPUTF8: exit code %d, %q", got.code, got.out)
	}
}

func TestSendSecurely(t *testing.T) {
	for _, tt := range []struct {
		scheme, login string
		mode          testserver.TLSMode
	}{{"smtp+starttls", "plain", testserver.StartTLS}, {"smtps", "login", testserver.ImplicitTLS}, {"smtps", "oauthbearer", testserver.ImplicitTLS}} {
		srv, addr := listen(t, testserver.Config{TLS: tt.mode, RequireTLS: true, RequireAuth: true,
			Users: map[string]string{"me": "s3/cret"}, Mechanisms: []string{strings.ToUpper(tt.login)}})
		ca := write(t, "ca.pem", string(srv.CertPEM()))
		file := write(t, "password", "s3/cret\n")
		url := tt.scheme + "://me@" + addr
		inURL := tt.scheme + "://me:s3%2Fcret@" + addr
		for i, c := range []struct {
			env  env
			args []string
			code int
			says string
		}{
			{env{envServer: url, envPassword: "s3/cret"}, nil, 0, ""},
			{env{envServer: url, envPasswordFile: file}, nil, 0, ""},
			{env{envServer: inURL}, nil, 0, ""},
			{nil, []string{"--server", url, "--password-file", file}, 0, ""},
			{nil, []string{"--server", inURL}, 64, "command line"},
			{nil, []string{"--server", url}, 78, envPassword},
			{env{envServer: url, envPassword: "wrong"}, nil, 77, "refused"},
		} {
			got := call(t.Context(), c.env, strings.NewReader(note), append([]string{"send", "--ca", ca, "--auth", tt.login}, c.args...)...)
			if got.code != c.code || !strings.Contains(got.errs, c.says) {
				t.Errorf("%s, %d: exit code %d, %q; want %d and %q", tt.scheme, i, got.code, got.errs, c.code, c.says)
			}
			if strings.Contains(got.out+got.errs, "s3/cret") || strings.Contains(got.out+got.errs, "s3%2Fcret") {
				t.Errorf("%s, %d: the password is shown: %s%s", tt.scheme, i, got.out, got.errs)
			}
		}
		if held := srv.Messages(); len(held) != 4 || held[0].User != "me" || !held[0].TLS {
			t.Errorf("%s: the server holds %d messages", tt.scheme, len(held))
		}
		got := call(t.Context(), env{envServer: url, envPassword: "s3/cret"}, strings.NewReader(note), "send", "--auth", tt.login)
		if got.code != 69 || !strings.Contains(got.out, "you@example.net  no reply: tls: failed to verify certificate: x509: ") {
			t.Errorf("%s without --ca: exit code %d, %q", tt.scheme, got.code, got.out+got.errs)
		}
	}
}

func TestSendExitCodes(t *testing.T) {
	rcpt := func(to, reply string) testserver.Rule {
		return testserver.On(testserver.Rcpt, testserver.Reply(reply)).To(to).Always()
	}
	busy, unknown := "450 4.2.1 Mailbox temporarily unavailable", "550 5.1.1 User unknown"
	for _, tt := range []struct {
		name   string
		script testserver.Script
		code   int
		says   string
	}{
		{"all deferred", testserver.Script{rcpt("@example.net", busy), rcpt("@example.com", busy)}, 75, "deferred  you@example.net  450 4.2.1"},
		{"some deferred", testserver.Script{rcpt("two@", busy)}, 1, "deferred  two@example.net"},
		{"some rejected", testserver.Script{rcpt("two@", unknown)}, 1, "rejected  two@example.net  550 5.1.1 User unknown"},
		{"in doubt", testserver.Script{testserver.On(testserver.Dot, testserver.Close())}, 1, "in-doubt  you@example.net  no reply: "},
		{"refused", testserver.Script{testserver.On(testserver.Greeting, testserver.Reply("554 5.3.2 No mail service here"))}, 69, "deferred  you@example.net  554"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, addr := listen(t, testserver.Config{Script: tt.script})
			got := call(t.Context(), nil, strings.NewReader(note), "send", "--server", addr, "--for", "20ms")
			if got.code != tt.code || !strings.Contains(got.out, tt.says) || !strings.HasPrefix(got.errs, "smtpretry: ") {
				t.Errorf("exit code %d, %q, %q; want %d and %q", got.code, got.out, got.errs, tt.code, tt.says)
			}
			as := call(t.Context(), nil, strings.NewReader(note), "send", "--server", addr, "--for", "20ms", "--json")
			var m jsonSent
			if err := json.Unmarshal([]byte(as.out), &m); err != nil {
				t.Fatal(err)
			}
			if as.code != m.Code || as.errs != "" || (m.Error == "") != (m.Code == 0) {
				t.Errorf("as JSON: exit code %d, %q, %+v", as.code, as.errs, m)
			}
		})
	}
	t.Run("interrupted while it reads", func(t *testing.T) {
		srv, addr := listen(t, testserver.Config{})
		ctx, interrupt := context.WithCancel(t.Context())
		r, w := io.Pipe()
		defer w.Close()
		go func() {
			_, _ = io.WriteString(w, note)
			interrupt()
		}()
		if got := call(ctx, nil, r, "send", "--server", addr); got.code != 75 || !strings.Contains(got.errs, "interrupted") || srv.Stats().Mails > 0 {
			t.Errorf("exit code %d, %q; want 75, and nothing sent", got.code, got.errs)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		_, addr := listen(t, testserver.Config{Hook: func(at testserver.At) *testserver.Action {
			if at.Stage == testserver.Mail {
				interrupt()
				return testserver.Stall()
			}
			return nil
		}})
		if got := call(ctx, nil, strings.NewReader(note), "send", "--server", addr); got.code != 75 {
			t.Errorf("exit code %d, %q; want 75", got.code, got.errs)
		}
	})
}

// A server that first says 421, then greylists, gets the message in the end.
func TestSendWaits(t *testing.T) {
	srv, addr := listen(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Greeting, testserver.Reply("421 4.3.2 busy").ThenClose()),
		testserver.On(testserver.Mail, testserver.Reply("451 4.3.0 later")),
	}})
	got := call(t.Context(), nil, strings.NewReader(note), "send", "--server", addr, "--policy", "interactive", "-v")
	if got.code != 0 || len(srv.Messages()) != 1 {
		t.Errorf("exit code %d, %s", got.code, got.errs)
	}
	for _, s := range []string{"421 4.3.2 busy: again at ", "451 4.3.0 later: again at "} {
		if !strings.Contains(got.errs, s) {
			t.Errorf("it says %q, want %q", got.errs, s)
		}
	}
}

func TestSendMany(t *testing.T) {
	srv, addr := listen(t, testserver.Config{Limits: testserver.Limits{MaxConns: 3}})
	dir := t.TempDir()
	args := []string{"send", "--server", addr, "--conns", "3", "--rate", "100/s", "--json", "you@example.net"}
	for i := range 30 {
		name := filepath.Join(dir, fmt.Sprintf("%d.eml", i))
		if err := os.WriteFile(name, []byte(note), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	begun := time.Now()
	got := call(t.Context(), nil, nil, append(args, filepath.Join(dir, "missing.eml"))...)
	if took := time.Since(begun); took < 290*time.Millisecond {
		t.Errorf("30 messages at 100/s took %v", took)
	}
	if st := srv.Stats(); st.Accepted != 30 || st.MostOpen > 3 || st.Refused[testserver.ByMaxConns] > 0 {
		t.Errorf("the server counts %+v", st)
	}
	if n := strings.Count(got.out, `"state":"accepted"`); n != 30 || got.code != 66 || !strings.Contains(got.out, "missing.eml") {
		t.Errorf("exit code %d and %d accepted: %s", got.code, n, got.out)
	}
}

// What is queued is on disk when the command returns, and is delivered by whoever
// opens the queue.
func TestSendQueue(t *testing.T) {
	db := filepath.Join(t.TempDir(), "mail.db")
	eml := write(t, "a.eml", note)
	for i, args := range [][]string{{"--queue", db, eml}, {"--queue", db, "-N", "never", "-f", "<>", eml, "x@example.net"}, {eml}} {
		got := call(t.Context(), env{envQueue: db}, nil, append([]string{"send"}, args...)...)
		if got.code != 0 || !strings.Contains(got.out, fmt.Sprintf("queued  as %d, for ", i+1)) {
			t.Fatalf("exit code %d, %q, %s", got.code, got.out, got.errs)
		}
	}
	srv, addr := listen(t, testserver.Config{})
	client, err := smtpretry.New(smtpretry.Config{Dialer: &smtpretry.Dialer{Addr: addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	q, err := queue.Open(t.Context(), queue.Config{Database: db, Relay: client})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	// While it delivers, more can be put in.
	if got := call(t.Context(), nil, nil, "send", "--queue", db, "--json", eml); got.code != 0 || !strings.Contains(got.out, `"queue_id":4`) {
		t.Fatalf("beside the queue: exit code %d, %q, %s", got.code, got.out, got.errs)
	}
	for end := time.Now().Add(20 * time.Second); len(srv.Messages()) < 4; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d messages were delivered, want 4", len(srv.Messages()))
		}
	}
	for _, m := range srv.Messages() {
		if m.From == "" && (m.To[0].Addr != "x@example.net" || m.To[0].Params["NOTIFY"] != "NEVER") {
			t.Errorf("the server holds %+v", m)
		}
	}
	if got := call(t.Context(), nil, nil, "send", "--queue", filepath.Join(t.TempDir(), "no", "such", "dir", "q.db"), eml); got.code != 75 {
		t.Errorf("where no file can be: exit code %d, %s", got.code, got.errs)
	}
	if got := call(t.Context(), nil, nil, "send", "--queue", "mysql://x", eml); got.code != 64 {
		t.Errorf("no such database: exit code %d, %s", got.code, got.errs)
	}
}

func TestSendUsage(t *testing.T) {
	srv, addr := listen(t, testserver.Config{})
	to := func(args ...string) []string { return append([]string{"--server", addr}, args...) }
	for _, tt := range []struct {
		name, in string
		env      env
		args     []string
		code     int
		says     string
	}{
		{"no server", note, nil, nil, 64, envServer},
		{"bad server", note, nil, []string{"--server", "http://x"}, 64, "smtps"},
		{"bad server in the environment", note, env{envServer: "smtp://"}, nil, 78, "no host"},
		{"server and queue", note, nil, to("--queue", "q.db"), 64, "only one"},
		{"no such file", "", nil, to("no-such.eml"), 66, "no-such.eml"},
		{"an empty password file", note, nil, []string{"--server", "me@" + addr, "--password-file", write(t, "empty", "\n")}, 78, "first line is empty"},
		{"no such password file", note, nil, []string{"--server", "me@" + addr, "--password-file", "no-such"}, 66, "no-such"},
		{"no such certificate", note, nil, to("--ca", "no-such.pem"), 66, "no-such.pem"},
		{"bad recipient", note, nil, to("a b"), 64, "--file"},
		{"bad sender", note, nil, to("-f", "a b"), 64, "-f"},
		{"bad mode", note, nil, to("-bs"), 64, "-bs"},
		{"bad notify", note, nil, to("-N", "always"), 64, "always"},
		{"bad return", note, nil, to("-R", "half"), 64, "half"},
		{"bad policy", note, nil, to("--policy", "forever"), 64, "forever"},
		{"bad rate", note, nil, to("--rate", "fast"), 64, "fast"},
		{"bad conns", note, nil, to("--conns", "0"), 64, "--conns"},
		{"bad time", note, nil, to("--for", "-1s"), 64, "--for"},
		{"bad mechanism", note, env{envPassword: "x"}, []string{"--server", "me@" + addr, "--auth", "gssapi"}, 64, "gssapi"},
		{"no header", "no header\n", nil, to("a@example.net"), 65, "header"},
		{"no recipients", "From: me@example.org\n\n", nil, to(), 65, "no recipients"},
		{"bare CR", "From: me@example.org\n\na\rb\n", nil, to("a@example.net"), 65, "CR"},
	} {
		got := call(t.Context(), tt.env, strings.NewReader(tt.in), append([]string{"send"}, tt.args...)...)
		if got.code != tt.code || !strings.Contains(got.errs, tt.says) {
			t.Errorf("%s: exit code %d, %q, %q; want %d and %q", tt.name, got.code, got.out, got.errs, tt.code, tt.says)
		}
	}
	if held := srv.Messages(); len(held) > 0 {
		t.Errorf("the server holds %d messages, want none", len(held))
	}
}

// Under the name sendmail the built program does what sendmail does.
func TestSendmail(t *testing.T) {
	srv, addr := listen(t, testserver.Config{Script: testserver.Script{
		testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 User unknown")).To("nobody@").Always()}})
	sendmail := filepath.Join(t.TempDir(), "sendmail")
	if err := os.Symlink(binary(t), sendmail); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		from string
		to   []string
		errs string
	}{
		{[]string{"-t", "-i"}, 0, "me@example.org", []string{"you@example.net", "two@example.net", "three@example.com"}, ""},
		{[]string{"-oi", "-f", "www@example.org", "-F", "Web", "--", "me@letters.eml"}, 0, "www@example.org", []string{"me@letters.eml"}, ""},
		{[]string{"-FCronDaemon", "-i", "-odi", "-oem", "-B8BITMIME", "root@example.net"}, 0, "me@example.org", []string{"root@example.net"}, ""},
		{[]string{"-i", "nobody@example.net"}, 1, "", nil, "550 5.1.1 User unknown"},
		{[]string{"-bs"}, 64, "", nil, "-bs"},
		{[]string{"--dance"}, 64, "", nil, "--dance"},
	} {
		before := len(srv.Messages())
		cmd := exec.Command(sendmail, tt.args...)
		cmd.Env = append(os.Environ(), envServer+"="+addr)
		cmd.Stdin = strings.NewReader(note)
		var out, errs strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &errs
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != tt.code || out.String() != "" || !strings.Contains(errs.String(), tt.errs) || (errs.Len() > 0) != (tt.errs != "") {
			t.Errorf("%q: exit code %d, %q, %q; want %d and %q", tt.args, code, &out, &errs, tt.code, tt.errs)
		}
		held := srv.Messages()[before:]
		if tt.to == nil && len(held) > 0 || tt.to != nil && (len(held) != 1 || held[0].From != tt.from || !slices.Equal(held[0].Addrs(), tt.to)) {
			t.Errorf("%q: the server holds %+v, want from %q to %q", tt.args, held, tt.from, tt.to)
		}
	}
}
