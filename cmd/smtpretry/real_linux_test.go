package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/realservers"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// realServer starts a real mail server for the test.
func realServer(t *testing.T, start func() (*realservers.Server, error)) *realservers.Server {
	t.Helper()
	if err := realservers.Supported(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("needs Linux with apt, and root:", err)
	}
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Postfix, and postgrey beside it, get what is sent; the greylist is waited out.
func TestSendToPostfix(t *testing.T) {
	t.Parallel()
	postfix := realServer(t, realservers.StartPostfix)
	got := call(t.Context(), nil, strings.NewReader(note), "send", "--server", postfix.Addr("postfix"), "--policy", "once",
		"you@example.test", "perm@example.test", "full@example.test")
	for _, s := range []string{"accepted  you@example.test  2.0.0 Ok: queued as ", "rejected  perm@example.test  550 5.1.1 ", "deferred  full@example.test  452 4.2.2 "} {
		if !strings.Contains(got.out, s) {
			t.Errorf("it says %q, want %q", got.out, s)
		}
	}
	if got.code != 1 {
		t.Errorf("exit code %d, want 1", got.code)
	}
	got = call(t.Context(), nil, strings.NewReader(note), "send", "--server", postfix.Addr("postfix-greylist"), "--policy", "interactive", "-v", "grey@example.test")
	if got.code != 0 || !strings.Contains(got.errs, "Greylisted, try again in") || !strings.Contains(got.out, "accepted  grey@example.test") {
		t.Errorf("exit code %d, %q, %q; want that the greylist is waited out", got.code, got.out, got.errs)
	}
}

// What Postfix logs today is read as what the server behind it said.
func TestExplainPostfix(t *testing.T) {
	t.Parallel()
	badrcpt, _ := testserver.Lookup("badrcpt")
	srv, addr := listen(t, badrcpt)
	relay := realServer(t, func() (*realservers.Server, error) { return realservers.StartRelay(addr, 2) })
	to := []string{"you@example.net", "perm@example.net", "temp@example.net", "full@example.net", "blocked@example.net"}
	if got := call(t.Context(), nil, strings.NewReader(note), append([]string{"send", "--server", relay.Addr("relay")}, to...)...); got.code != 0 {
		t.Fatalf("the relay takes nothing: %s%s", got.out, got.errs)
	}
	if err := relay.Release(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); strings.Count(relay.Log(), "status=") < len(to); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the relay does not deliver:\n%s", relay.Log())
		}
		if err := relay.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	got := call(t.Context(), nil, nil, "explain", "--json", write(t, "mail.log", relay.Log()))
	var s jsonSummary
	if err := json.Unmarshal([]byte(got.out), &s); err != nil {
		t.Fatalf("%v: %s%s", err, got.out, got.errs)
	}
	met := map[string]bool{}
	for _, g := range s.Groups {
		met[g.Class.String()+" "+g.Cause.String()] = true
		if g.Sample.Stage != smtpretry.StageRcpt || g.Host != "127.0.0.1" {
			t.Errorf("group %+v, want at rcpt of 127.0.0.1", g)
		}
	}
	for _, want := range []string{"permanent bad-recipient", "temporary bad-recipient", "temporary mailbox-full"} {
		if !met[want] {
			t.Errorf("the log tells of %v, want %s among them", met, want)
		}
	}
	if s.Accepted < 1 || len(srv.Messages()) < 1 || got.code != 1 {
		t.Errorf("%d accepted by the log, %d by the server, exit code %d", s.Accepted, len(srv.Messages()), got.code)
	}
}

// Exim refuses after the dot, and its limits are met.
func TestSendToExim(t *testing.T) {
	t.Parallel()
	exim := realServer(t, realservers.StartExim)
	for to, want := range map[string]int{"you@example.test": 0, "late@example.test": 75, "perm@example.test": 1} {
		got := call(t.Context(), nil, strings.NewReader(note), "send", "--server", "smtp+plain://"+exim.Addr("exim"), "--policy", "once", to)
		if got.code != want {
			t.Errorf("%s: exit code %d, %s%s; want %d", to, got.code, got.out, got.errs, want)
		}
	}
}
