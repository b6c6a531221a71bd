package maillog_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/maillog"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// A labelled is a reply of the library's corpora.
type labelled struct{ Reply, Stage, Class, Cause, Scope string }

var stages = map[string]smtpretry.Stage{
	"connect": smtpretry.StageGreeting, "helo": smtpretry.StageHello, "starttls": smtpretry.StageTLS, "auth": smtpretry.StageAuth,
	"mail": smtpretry.StageMail, "rcpt": smtpretry.StageRcpt, "data": smtpretry.StageData, "eod": smtpretry.StageDot, "any": smtpretry.StageUnknown,
}

func corpus(t *testing.T) (all []labelled) {
	t.Helper()
	for _, name := range []string{"replies.jsonl", "unseen.jsonl"} {
		raw, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for d := json.NewDecoder(bytes.NewReader(raw)); d.More(); {
			var l labelled
			if err := d.Decode(&l); err != nil {
				t.Fatal(err)
			}
			all = append(all, l)
		}
	}
	return all
}

func read(t *testing.T, p *maillog.Parser, r io.Reader) (events []*maillog.Event, s *maillog.Summary) {
	t.Helper()
	s = new(maillog.Summary)
	for line, err := range maillog.Lines(r) {
		if err != nil {
			t.Fatal(err)
		}
		e := p.Parse(line)
		s.Add(e)
		if e != nil {
			events = append(events, e)
		}
	}
	return events, s
}

func open(t *testing.T, name string) io.Reader {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(raw)
}

// What Postfix and Exim log of the corpus's replies must be taken for what the
// replies themselves are.
func TestLogsOfCorpus(t *testing.T) {
	type key struct {
		code int
		text string
	}
	squeeze := func(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), "")) }
	want := map[key][]smtpretry.Verdict{}
	for _, l := range corpus(t) {
		reply, ok := maillog.ParseReply(l.Reply)
		if !ok {
			t.Fatalf("%q is no reply", l.Reply)
		}
		v := smtpretry.Classify(reply, stages[l.Stage])
		k := key{v.Code, squeeze(v.Text)}
		want[k] = append(want[k], v)
	}
	for _, tt := range []struct {
		file  string
		least int
	}{{"postfix.log", 90}, {"exim.log", 60}} {
		met := 0
		events, _ := read(t, &maillog.Parser{Now: now}, open(t, tt.file))
		for _, e := range events {
			v := e.Verdict
			for _, w := range want[key{v.Code, squeeze(v.Text)}] {
				// Exim does not say which of the pipelined commands was answered.
				if w.Stage != v.Stage {
					continue
				}
				met++
				if v.Class != w.Class || v.Cause != w.Cause || v.Scope != w.Scope || v.Enhanced != w.Enhanced || v.Rule != w.Rule {
					t.Errorf("%s: %v by %s, want %v by %s", tt.file, v, v.Rule, w, w.Rule)
				}
			}
		}
		if met < tt.least {
			t.Errorf("%s: %d replies of the corpus were found in it, want at least %d", tt.file, met, tt.least)
		}
		t.Logf("%s: %d replies", tt.file, met)
	}
}

// The stage is guessed well enough if what follows is mostly the same.
func TestGuessStage(t *testing.T) {
	same, all := 0, 0
	for _, l := range corpus(t) {
		reply, ok := maillog.ParseReply(l.Reply)
		if !ok {
			t.Fatalf("%q is no reply", l.Reply)
		}
		all++
		v := smtpretry.Classify(reply, maillog.GuessStage(reply))
		if v.Class.String() == l.Class && v.Cause.String() == l.Cause && v.Scope.String() == l.Scope {
			same++
		} else if testing.Verbose() {
			t.Logf("%s for %s: %v, want %s %s %s", maillog.GuessStage(reply), l.Stage, v, l.Class, l.Cause, l.Scope)
		}
	}
	if share := 100 * float64(same) / float64(all); share < 93 {
		t.Errorf("%.1f %% of %d replies are taken for what they are without their stage, want 93", share, all)
	} else {
		t.Logf("%.1f %% of %d", share, all)
	}
}

func TestSummary(t *testing.T) {
	for _, tt := range []struct {
		file               string
		accepted, heldBack int
	}{{"postfix.log", 71, 4}, {"exim.log", 7, 7}} {
		events, s := read(t, &maillog.Parser{Now: now}, open(t, tt.file))
		if s.Events != len(events) || s.Accepted != tt.accepted || s.HeldBack != tt.heldBack {
			t.Errorf("%s: %d events (%d), %d accepted, %d held back", tt.file, s.Events, len(events), s.Accepted, s.HeldBack)
		}
		failed := 0
		for _, g := range s.Groups() {
			failed += g.Count
			if g.First.IsZero() || g.Last.Before(g.First) || g.Sample.Rule == "" {
				t.Errorf("%s: group %+v", tt.file, g)
			}
		}
		if failed+s.Accepted+s.HeldBack != s.Events {
			t.Errorf("%s: %d failed, %d accepted and %d held back are not the %d events", tt.file, failed, s.Accepted, s.HeldBack, s.Events)
		}
		for _, most := range []int{1, 7, 60, 1000} {
			start, part, series := s.Timeline(most)
			drawn := 0
			for _, one := range series {
				if len(one.Counts) > most {
					t.Errorf("%s: %d parts, want at most %d", tt.file, len(one.Counts), most)
				}
				for _, n := range one.Counts {
					drawn += n
				}
			}
			if drawn != failed || start.After(s.First) || start.Add(time.Duration(most+1)*part).Before(s.Last) {
				t.Errorf("%s in %d parts: %d drawn of %d, from %v in parts of %v", tt.file, most, drawn, failed, start, part)
			}
		}
	}
}

// Lines as they are logged, and what must be read of each.
func TestParse(t *testing.T) {
	const none = "-"
	for _, tt := range []struct {
		line                string
		format              maillog.Format
		host, to            string
		class, cause, stage string // class "accepted" and "held" are outcomes
		at                  string
	}{
		{"Nov 26 06:43:23 relay postfix/smtp[22378]: 3E5FC98511D: to=<r49@example.net>, relay=mx.example.net[192.0.2.25]:25, conn_use=2, delay=0.38, delays=0.22/0.15/0.01/0.01, dsn=4.7.0, status=deferred (host mx.example.net[192.0.2.25] said: 421-4.7.0 Try again later, 421 4.7.0 closing connection. (in reply to end of DATA command))",
			maillog.Postfix, "mx.example.net", "r49@example.net", "temporary", "overload", "dot", "2026-11-26T06:43:23Z"},
		{"2026-11-26T06:43:23.123456+01:00 relay postfix/smtp[1]: 3E5FC98511D: to=<a@example.net>, relay=mx.example.net[2001:db8::1]:25, delay=1, delays=0/0/1/0, dsn=4.7.0, status=deferred (host mx.example.net[2001:db8::1] refused to talk to me: 421 4.7.0 too many connections)",
			maillog.Postfix, "mx.example.net", "a@example.net", "temporary", "connection-limit", "greeting", "2026-11-26T05:43:23.123456Z"},
		{"Dec  1 01:02:03 relay postfix/smtp[1]: A: to=<a@example.net>, relay=none, delay=1, delays=0/0/1/0, dsn=5.4.4, status=bounced (Host or domain name not found. Name service error for name=example.net type=AAAA: Host not found)",
			maillog.Postfix, "example.net", "a@example.net", "permanent", "dns", "dial", "2025-12-01T01:02:03Z"},
		{"Nov 26 01:02:03 relay postfix/smtp[1]: A: to=<a@example.net>, relay=none, delay=1, delays=0/0/1/0, dsn=4.4.3, status=deferred (Host or domain name not found. Name service error for name=example.net type=MX: Host not found, try again)",
			maillog.Postfix, "example.net", "a@example.net", "temporary", "dns", "dial", "2026-11-26T01:02:03Z"},
		{"Nov 26 01:02:03 relay postfix/smtp[1]: A: to=<a@example.net>, relay=none, delay=1, delays=0/0/1/0, dsn=4.4.1, status=deferred (connect to mx.example.net[192.0.2.25]:25: Connection timed out)",
			maillog.Postfix, "mx.example.net", "a@example.net", "temporary", "network", "dial", "2026-11-26T01:02:03Z"},
		{"Nov 26 01:02:03 relay postfix/smtp[1]: A: to=<a@example.net>, relay=mx.example.net[192.0.2.25]:25, delay=1, delays=0/0/1/0, dsn=4.4.2, status=deferred (conversation with mx.example.net[192.0.2.25] timed out while sending RCPT TO)",
			maillog.Postfix, "mx.example.net", "a@example.net", "temporary", "network", "rcpt", "2026-11-26T01:02:03Z"},
		{"Nov 26 01:02:03 relay postfix/smtp[1]: A: to=<a@example.net>, relay=smtp.example.com[192.0.2.25]:587, delay=1, delays=0/0/1/0, dsn=4.7.8, status=deferred (SASL authentication failed; server smtp.example.com[192.0.2.25] said: 535 5.7.8 Error: authentication failed)",
			maillog.Postfix, "smtp.example.com", "a@example.net", "permanent", "auth", "auth", "2026-11-26T01:02:03Z"},
		{"Nov 26 01:02:03 relay postfix/smtp[1]: A: to=<a@example.net>, relay=mx.example.net[192.0.2.25]:25, delay=1, delays=0/0/1/0, dsn=4.7.4, status=deferred (TLS is required, but was not offered by host mx.example.net[192.0.2.25])",
			maillog.Postfix, "mx.example.net", "a@example.net", "permanent", "tls", "tls", "2026-11-26T01:02:03Z"},
		{"Nov 26 01:02:03 relay postfix/smtp[1]: A: to=<a@example.net>, relay=mx.example.net[192.0.2.25]:25, delay=1, delays=0/0/1/0, dsn=5.3.4, status=bounced (message size 52428800 exceeds size limit 10485760 of server mx.example.net[192.0.2.25])",
			maillog.Postfix, "mx.example.net", "a@example.net", "permanent", "size", "unknown", "2026-11-26T01:02:03Z"},
		{"Nov 26 01:02:03 relay postfix/error[1]: A: to=<a@example.net>, relay=none, delay=1, delays=0/0/1/0, dsn=4.7.0, status=deferred (delivery temporarily suspended: host mx.example.net[192.0.2.25] refused to talk to me: 421 busy)",
			maillog.Postfix, "mx.example.net", "a@example.net", "held", none, none, "2026-11-26T01:02:03Z"},
		{"Nov 26 01:02:03 relay postfix/smtp[1]: A: to=<a@example.net>, relay=mx.example.net[192.0.2.25]:25, delay=1, delays=0/0/1/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 421)",
			maillog.Postfix, "mx.example.net", "a@example.net", "accepted", none, none, "2026-11-26T01:02:03Z"},

		{"Nov 26 01:02:03 relay postfix-out/smtp-slow/smtp[1]: 4cXy1z0Abcz9: to=<a@example.net>, orig_to=<root@example.org>, relay=mx.example.net[192.0.2.25]:25, delay=1, delays=0/0/1/0, dsn=4.4.2, status=deferred (lost connection with mx.example.net[192.0.2.25] while sending end of data -- message may be sent more than once)",
			maillog.Postfix, "mx.example.net", "a@example.net", "temporary", "network", "dot", "2026-11-26T01:02:03Z"},

		{"2026-11-26 07:03:14 1xWjgp-0006ZJ-0Y == a@example.net R=dnslookup T=remote_smtp defer (-44) H=mx.example.net [192.0.2.40]: SMTP error from remote mail server after RCPT TO:<a@example.net>: 450 4.2.0 <a@example.net>: Recipient address rejected: Greylisted",
			maillog.Exim, "mx.example.net", "a@example.net", "temporary", "greylist", "rcpt", "2026-11-26T07:03:14Z"},
		{"2026-11-26 07:03:14.123 +0100 1xWjgp-0006ZJ-0Y ** b <a@example.net> F=<x@example.org> R=dnslookup T=remote_smtp H=mx.example.net [192.0.2.40] X=TLS1.3:x:256 CV=yes: SMTP error from remote mail server after end of data: 550-5.7.1 first\\n550 5.7.1 spam message rejected",
			maillog.Exim, "mx.example.net", "a@example.net", "permanent", "content", "dot", "2026-11-26T06:03:14.123Z"},
		{"2026-11-26 07:03:14 1xWjgp-0006ZJ-0Y == a@example.net R=dnslookup T=remote_smtp defer (111): Connection refused",
			maillog.Exim, "example.net", "a@example.net", "temporary", "network", "dial", "2026-11-26T07:03:14Z"},
		{"2026-11-26 07:03:14 1xWjgp-0006ZJ-0Y == a@example.net R=dnslookup T=remote_smtp defer (-54): retry time not reached for any host for 'example.net'",
			maillog.Exim, "example.net", "a@example.net", "held", none, none, "2026-11-26T07:03:14Z"},
		{"2026-11-26 07:03:14 1xWjgp-0006ZJ-0Y => a@example.net R=dnslookup T=remote_smtp H=mx.example.net [192.0.2.40] C=\"250 ok\"",
			maillog.Exim, "mx.example.net", "a@example.net", "accepted", none, none, "2026-11-26T07:03:14Z"},

		{`{"time":"2026-11-26T07:03:14Z","level":"INFO","msg":"smtp attempt failed","host":"smtp.example.com","addr":"192.0.2.1:587","attempt":1,"recipients":1,"stage":"greeting","took":1000,"class":"temporary","cause":"connection-limit","scope":"connection","code":421,"reply":"Too many connections","rule":"connections","next":"2026-11-26T07:03:19Z"}`,
			maillog.JSON, "smtp.example.com", "", "temporary", "connection-limit", "greeting", "2026-11-26T07:03:14Z"},
		{`{"level":"error","ts":1795676594.5,"msg":"send failed","to":"a@example.net","error":"SMTP error 550: 5.1.1 no such user here"}`,
			maillog.JSON, "example.net", "a@example.net", "permanent", "bad-recipient", "rcpt", "2026-11-26T07:03:14.5Z"},
		{`{"timestamp":1795676594500,"message":"mail: 452 4.2.2 Mailbox full","server":"mx.example.net:25","command":"RCPT TO"}`,
			maillog.JSON, "mx.example.net", "", "temporary", "mailbox-full", "rcpt", "2026-11-26T07:03:14.5Z"},
		{`{"time":"2026-11-26T07:03:14Z","err":{"message":"dial tcp 192.0.2.1:25: connect: connection refused"},"host":"mx.example.net"}`,
			maillog.JSON, "mx.example.net", "", "temporary", "network", "dial", "2026-11-26T07:03:14Z"},
		{`{"time":"2026-11-26T07:03:14Z","code":535,"response":"5.7.8 bad password","host":"mx.example.net"}`,
			maillog.JSON, "mx.example.net", "", "permanent", "auth", "auth", "2026-11-26T07:03:14Z"},
		{`{"__REALTIME_TIMESTAMP":"1795676594500000","SYSLOG_IDENTIFIER":"postfix/smtp","MESSAGE":"A: to=<a@example.net>, relay=mx.example.net[192.0.2.25]:25, delay=1, delays=0/0/1/0, dsn=4.7.0, status=deferred (host mx.example.net[192.0.2.25] said: 450 4.7.1 too much mail from 192.0.2.1 (in reply to MAIL FROM command))"}`,
			maillog.JSON, "mx.example.net", "a@example.net", "temporary", "rate-limit", "mail", "2026-11-26T07:03:14.5Z"},
		{`time=2026-11-26T07:03:14.000Z level=ERROR msg="could not send" to=a@example.net err="421 4.3.0 Temporary System Problem"`,
			maillog.Logfmt, "example.net", "a@example.net", "temporary", "overload", "unknown", "2026-11-26T07:03:14Z"},

		{"535 5.7.8 Authentication credentials invalid", maillog.Replies, "", "", "permanent", "auth", "auth", ""},
		{"250 2.0.0 ok", maillog.Replies, "", "", "accepted", none, none, ""},
	} {
		e := (&maillog.Parser{Now: now}).Parse(tt.line)
		if e == nil {
			t.Errorf("nothing was read of %s", tt.line)
			continue
		}
		class, cause, stage := e.Verdict.Class.String(), e.Verdict.Cause.String(), e.Verdict.Stage.String()
		switch e.Outcome {
		case maillog.Accepted:
			class, cause, stage = "accepted", none, none
		case maillog.HeldBack:
			class, cause, stage = "held", none, none
		case maillog.Failed:
		}
		at := ""
		if !e.Time.IsZero() {
			at = e.Time.UTC().Format(time.RFC3339Nano)
		}
		got := [...]string{string(e.Format), e.Host, e.To, class, cause, stage, at}
		want := [...]string{string(tt.format), tt.host, tt.to, tt.class, tt.cause, tt.stage, tt.at}
		if got != want {
			t.Errorf("got  %q\nwant %q\nof %s", got, want, tt.line)
		}
	}
}

// Lines that tell of no attempt.
func TestParseNothing(t *testing.T) {
	for _, line := range []string{
		"", " ", "{}", "{", `{"msg":"listening on port 587","addr":"127.0.0.1:587"}`, `{"msg":"took 450 ms for 554 rows"}`,
		"Nov 26 06:11:25 relay postfix/smtpd[22362]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 450 4.7.1 <x>: Helo command rejected",
		"Nov 26 06:11:25 relay postfix/qmgr[22362]: 3E5FC98511D: from=<a@example.org>, size=300, nrcpt=1 (queue active)",
		"Nov 26 01:02:03 relay postfix/local[1]: A: to=<a@example.org>, relay=local, delay=1, delays=0/0/1/0, dsn=2.0.0, status=sent (delivered to mailbox)",
		"2026-11-26 06:01:37 1xWjgp-0006ZJ-0Y <= news@example.org U=news P=local S=310", "2026-11-26 06:01:37 Start queue run: pid=1",
		`time=2026-11-26T07:03:14.000Z level=INFO msg="GET /index 450"`, "Hello there", "42", "4215 lines",
		`{"time":"2026-11-26T07:03:14Z","msg":"smtp wait","host":"smtp.example.com","for":"retry"}`,
	} {
		if e := (&maillog.Parser{Now: now}).Parse(line); e != nil {
			t.Errorf("%q is read as %+v", line, e)
		}
	}
}

func TestFormatIsKept(t *testing.T) {
	const line = "550 5.1.1 User unknown"
	for _, word := range maillog.Formats {
		f := maillog.Format(word)
		e := (&maillog.Parser{Format: f}).Parse(line)
		if want := f == maillog.Auto || f == maillog.Replies; (e != nil) != want {
			t.Errorf("format %s: a reply gives %+v", f, e)
		}
	}
}

// What the library logs is read as what it has decided.
func TestOwnLog(t *testing.T) {
	for name, handler := range map[maillog.Format]func(io.Writer) slog.Handler{
		maillog.JSON:   func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		maillog.Logfmt: func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
	} {
		srv, err := testserver.Listen(testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.2 Mailbox full, \"sorry\"")).To("full@").Always(),
			testserver.On(testserver.Rcpt, testserver.Reply("550-5.1.1 No such user\n550 5.1.1 here")).To("nobody@").Always(),
		}}, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		var log bytes.Buffer
		var verdicts []smtpretry.Verdict
		c, err := smtpretry.New(smtpretry.Config{Dialer: &smtpretry.Dialer{Addr: srv.Addr()}, Policy: smtpretry.Policy{MaxAttempts: 1},
			Logger: slog.New(handler(&log)), Trace: &smtpretry.Trace{Attempted: func(a smtpretry.Attempt) {
				if a.Verdict.Rule != "" {
					verdicts = append(verdicts, a.Verdict)
				}
			}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{"full@example.net", "nobody@example.net", "you@example.net"} {
			_, _ = c.Send(context.Background(), &smtpretry.Message{From: "me@example.org", To: []string{to},
				Body: func() (io.ReadCloser, error) {
					return io.NopCloser(strings.NewReader("Subject: hi\r\n\r\nhi\r\n")), nil
				}})
		}
		_ = c.Quit()
		events, s := read(t, &maillog.Parser{}, &log)
		if len(events) != 3 || s.Accepted != 1 || s.Formats[name] != 3 {
			t.Fatalf("%s: got %d events, %d accepted, formats %v; want 3 and 1", name, len(events), s.Accepted, s.Formats)
		}
		for i, want := range verdicts {
			got := events[i].Verdict
			if got.Class != want.Class || got.Cause != want.Cause || got.Scope != want.Scope || got.Stage != want.Stage ||
				got.Code != want.Code || got.Text != want.Text || got.Rule != want.Rule || events[i].Host != "127.0.0.1" {
				t.Errorf("%s: got %+v of %s, want %+v", name, got, events[i].Host, want)
			}
		}
	}
}

func TestLines(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte("550-5.1.1 first\r\n550 5.1.1 second\r\nother\n\n450 x"))
	_ = z.Close()
	long := strings.Repeat("x", 600<<10)
	for _, tt := range []struct {
		in   io.Reader
		want []string
	}{
		{strings.NewReader("a\nb\r\n\nc"), []string{"a", "b", "", "c"}},
		{&packed, []string{"550-5.1.1 first\n550 5.1.1 second", "other", "", "450 x"}},
		{strings.NewReader("550-a"), []string{"550-a"}},
		{strings.NewReader("550-4.7.0 a 550 4.7.0 b\nnext"), []string{"550-4.7.0 a 550 4.7.0 b", "next"}},
		{strings.NewReader(long + "\nend\n"), []string{long[:256<<10], long[:256<<10], long[:88<<10], "end"}},
	} {
		var got []string
		for line, err := range maillog.Lines(tt.in) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, line)
		}
		if strings.Join(got, "|") != strings.Join(tt.want, "|") {
			t.Errorf("got %d lines %.200q, want %.200q", len(got), got, tt.want)
		}
	}
	failed := false
	for _, err := range maillog.Lines(strings.NewReader("\x1f\x8bno gzip at all")) {
		failed = failed || err != nil
	}
	if !failed {
		t.Error("a broken gzip file is read without an error")
	}
}

func TestFindReply(t *testing.T) {
	for text, want := range map[string]string{
		"SMTP error 421: 4.7.0 Too many":                   "421 4.7.0 Too many",
		"SMTP error 450: try again":                        "450 try again",
		"gomail: could not send email 1: 550 5.1.1 nobody": "550 5.1.1 nobody",
		"send: server said 554 no":                         "554 no",
		"421 4.3.2 busy":                                   "421 4.3.2 busy",
		"failed (451 4.3.0 later)":                         "451 4.3.0 later)",
		"took 450 ms":                                      "",
		"port 587 refused":                                 "",
		"listening on 127.0.0.1: 4 workers":                "",
	} {
		got := ""
		if reply, ok := maillog.FindReply(text); ok {
			got = strconv.Itoa(reply.Code) + " " + reply.Msg
		}
		if got != want {
			t.Errorf("%q: found %q, want %q", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"postfix.log", "exim.log"} {
		raw, err := os.ReadFile(filepath.Join("..", "..", "testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		for i, line := range strings.Split(string(raw), "\n") {
			if i%20 == 0 {
				f.Add(line)
			}
		}
	}
	f.Add(`{"msg":"x","error":"421 4.7.0 busy","time":1e300}`)
	f.Add("550-a 550 b")
	f.Fuzz(func(t *testing.T, line string) {
		e := (&maillog.Parser{Now: now}).Parse(line)
		if e == nil {
			return
		}
		if (e.Outcome == maillog.Failed) != (e.Verdict.Rule != "") {
			t.Errorf("%q: outcome %v with verdict %+v", line, e.Outcome, e.Verdict)
		}
		if strings.ContainsAny(e.Verdict.Text+e.Host, "\n\r\x1b") {
			t.Errorf("%q: %q of %q is more than a line", line, e.Verdict.Text, e.Host)
		}
	})
}

// What is said of all lines goes before what one of them says.
func TestStageIsKept(t *testing.T) {
	auth := smtpretry.StageAuth
	for _, line := range []string{
		"A: to=<a@example.net>, relay=mx.example.net[192.0.2.25]:25, delay=1, delays=0/0/1/0, dsn=4.4.2, status=deferred (lost connection with mx.example.net[192.0.2.25] while sending RCPT TO)",
		"A: to=<a@example.net>, relay=none, delay=1, delays=0/0/1/0, dsn=4.4.1, status=deferred (connect to mx.example.net[192.0.2.25]:25: Connection refused)",
		"A: to=<a@example.net>, relay=mx.example.net[192.0.2.25]:25, delay=1, delays=0/0/1/0, dsn=4.7.1, status=deferred (host mx.example.net[192.0.2.25] said: 450 4.7.1 too much mail (in reply to MAIL FROM command))",
	} {
		e := (&maillog.Parser{Stage: &auth}).Parse("Nov 26 07:03:14 mail postfix/smtp[1]: " + line)
		if e == nil || e.Verdict.Stage != auth {
			t.Errorf("%s: got %+v", line, e)
		}
	}
}
