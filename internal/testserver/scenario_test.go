package testserver_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestScenarios sends seven messages to each scenario, as a stubborn client
// does, and looks for what the scenario is about.
func TestScenarios(t *testing.T) {
	to := []string{friend, "perm@example.net", "temp@example.net", "full@example.net", "blocked@example.net", "closing@example.net", "c@example.net"}
	type want struct {
		conns, mails, accepted int
		by                     testserver.Limit // the one limit that is met
		refused                int
		says                   []string // stands in a reply or an error
	}
	wants := map[string]want{
		"ok":             {1, 7, 7, "", 0, nil},
		"quickstart":     {2, 28, 7, testserver.ByGreylist, 21, []string{"421 4.3.2", "try again in 3 seconds"}},
		"busy":           {21, 7, 7, "", 0, []string{"421 4.3.2"}},
		"greylist":       {1, 77, 7, testserver.ByGreylist, 70, []string{"try again in 10 seconds", "try again in 1 seconds"}},
		"ratelimit":      {1, 8, 7, testserver.ByRate, 1, nil},
		"connlimit":      {1, 7, 7, "", 0, nil},
		"perconn":        {2, 8, 7, testserver.ByPerConn, 1, nil},
		"pertransaction": {1, 7, 7, "", 0, nil},
		"quota":          {1, 7, 7, "", 0, nil},
		"box":            {1, 8, 7, testserver.ByRate, 1, nil},
		"badrcpt":        {61, 184, 2, "", 0, []string{"550 5.1.1", "450 4.2.1", "452 4.2.2", "554 5.7.1", "421 4.3.2"}},
		"auth":           {1, 7, 7, "", 0, []string{"235 2.7.0"}},
		"badcert":        {420, 0, 0, "", 0, []string{"certificate has expired"}},
		"flaky":          {7, 19, 7, "", 0, []string{"reset by peer", "lookup failure", "EOF", "write error"}},
		"indoubt":        {7, 13, 13, "", 0, []string{"EOF"}},
		"silent":         {420, 0, 0, "", 0, []string{"i/o timeout"}},
		"slow":           {1, 7, 7, "", 0, nil},
		"size":           {1, 7, 7, "", 0, []string{"SIZE 65536"}},
		"garbage":        {420, 0, 0, "", 0, []string{"IMAP4rev1"}},
		"plain":          {1, 7, 7, "", 0, []string{"502 5.5.1"}},
		"lmtp":           {1, 66, 6, "", 0, []string{"451 4.2.1"}},
	}
	for _, sc := range testserver.Scenarios() {
		t.Run(sc.Name, func(t *testing.T) {
			cfg, ok := testserver.Lookup(sc.Name)
			want, tested := wants[sc.Name]
			if !ok || !tested || sc.About == "" || strings.Contains(sc.About, "\n") {
				t.Fatalf("scenario %+v has no test, or Lookup does not know it", sc)
			}
			inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
				var trouble strings.Builder
				var c *smtp.Client
				for _, one := range to {
					for range 60 {
						if c == nil {
							c = scenarioClient(t, srv, cfg)
						}
						err := send(c, one)
						if err == nil {
							break
						}
						trouble.WriteString(err.Error() + "\n")
						var se *smtp.SMTPError
						if !errors.As(err, &se) || se.Code == 421 || c.Reset() != nil {
							c.Close()
							c = nil
						}
						if se != nil && se.Code >= 500 {
							break
						}
						time.Sleep(time.Second)
					}
				}
				if c != nil {
					c.Close()
				}
				synctest.Wait()
				text := srv.Transcript() + trouble.String()
				st := srv.Stats()
				total := 0
				for _, n := range st.Refused {
					total += n
				}
				if st.Conns != want.conns || st.Mails != want.mails || st.Accepted != want.accepted ||
					total != want.refused || st.Refused[want.by] != want.refused || st.Open != 0 || st.Boxes != 0 {
					t.Errorf("%+v, want %+v", st, want)
				}
				for _, words := range want.says {
					if !strings.Contains(text, words) {
						t.Errorf("nothing says %q", words)
					}
				}
			})
		})
	}
	if _, ok := testserver.Lookup("no such thing"); ok {
		t.Error("Lookup found what is not there")
	}
}

// TestScenarioLimits goes over the limits that seven messages do not meet.
func TestScenarioLimits(t *testing.T) {
	for name, try := range map[string]func(t *testing.T, srv *testserver.Server, c *smtp.Client) (took time.Duration){
		"connlimit": func(t *testing.T, srv *testserver.Server, c *smtp.Client) time.Duration {
			other := dial(t, srv)
			if err := errors.Join(c.Noop(), other.Noop()); err != nil {
				t.Error(err)
			}
			wantReply(t, dial(t, srv).Noop(), 421, "too many connections")
			return 10 * time.Millisecond // in which a free slot was hoped for
		},
		"pertransaction": func(t *testing.T, _ *testserver.Server, c *smtp.Client) time.Duration {
			wantReply(t, send(c, friend, friend, friend, friend, friend, friend), 452, "too many recipients")
			return 0
		},
		"quota": func(t *testing.T, _ *testserver.Server, c *smtp.Client) time.Duration {
			for range 20 {
				if err := send(c, friend); err != nil {
					t.Fatal(err)
				}
			}
			wantReply(t, send(c, friend), 451, "try again in 60 seconds")
			return 0
		},
		"box": func(t *testing.T, _ *testserver.Server, c *smtp.Client) time.Duration {
			for range 5 {
				if err := send(c, friend); err != nil {
					t.Fatal(err)
				}
			}
			for range 10 {
				wantReply(t, send(c, friend), 450, "too much mail")
			}
			wantReply(t, send(c, friend), 421, "too many violations")
			return 0
		},
		"size": func(t *testing.T, srv *testserver.Server, c *smtp.Client) time.Duration {
			err := c.SendMail(sender, []string{friend}, strings.NewReader(strings.Repeat("x", 1<<20)))
			if st := srv.Stats(); err == nil || st.Refused[testserver.BySize] != 1 || st.Broken != 1 {
				t.Errorf("%v, stats %+v", err, st)
			}
			return 0
		},
		"slow": func(t *testing.T, _ *testserver.Server, c *smtp.Client) time.Duration {
			if err := send(c, friend); err != nil {
				t.Error(err)
			}
			return time.Duration(len("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n")) * 50 * time.Millisecond
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, _ := testserver.Lookup(name)
			inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
				start := time.Now()
				took := try(t, srv, dial(t, srv))
				if d := time.Since(start); d != took {
					t.Errorf("took %v, want %v", d, took)
				}
			})
		})
	}
}

// scenarioClient connects as the scenario's configuration wants it.
func scenarioClient(t *testing.T, srv *testserver.Server, cfg testserver.Config) *smtp.Client {
	t.Helper()
	var c *smtp.Client
	switch {
	case cfg.LMTP:
		c = smtp.NewClientLMTP(connect(t, srv))
	case cfg.TLS == testserver.StartTLS:
		var err error
		if c, err = smtp.NewClientStartTLS(connect(t, srv), srv.TLSConfig()); err != nil {
			t.Fatal(err)
		}
	default:
		c = dial(t, srv)
	}
	c.CommandTimeout, c.SubmissionTimeout = time.Minute, time.Minute
	if cfg.Users != nil {
		if err := c.Auth(saslFor("PLAIN", "user", "secret")); err != nil {
			t.Fatal(err)
		}
	}
	return c
}
