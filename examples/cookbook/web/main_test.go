package main

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry/examples/cookbook/internal/stand"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

func TestWeb(t *testing.T) {
	t.Setenv("SMTP_USER", "app")
	t.Setenv("SMTP_PASSWORD", "secret")
	for _, tc := range []struct {
		name   string
		script testserver.Script
		email  string
		status int
		words  string
		again  string
	}{
		{"accepted at the second try", testserver.Script{
			testserver.On(testserver.Greeting, testserver.Reply("421 4.3.2 Please try again later").ThenClose()),
		}, "ada@example.net", 200, "Look into", ""},
		{"no address", nil, "ada\r\nBcc: everybody@example.net", 422, "no mail address", ""},
		{"unknown", testserver.Script{
			testserver.On(testserver.Rcpt, testserver.Reply("550 5.1.1 No such user")),
		}, "ada@example.net", 422, "written correctly", ""},
		{"greylisted", testserver.Script{
			testserver.On(testserver.Rcpt, testserver.Reply("450 4.2.0 Greylisted, try again in 300 seconds")).Always(),
		}, "ada@example.net", 503, "try again later", "300"},
		{"busy", testserver.Script{
			testserver.On(testserver.Greeting, testserver.Reply("421 4.3.2 Please try again later").ThenClose()).Always(),
		}, "ada@example.net", 503, "try again later", "60"},
		{"a quota that is used up", testserver.Script{
			testserver.On(testserver.Mail, testserver.Reply("452 4.2.1 Too many messages, try again in 10 minutes")).Always(),
		}, "ada@example.net", 503, "try again later", "600"},
		{"in doubt", testserver.Script{
			testserver.On(testserver.Dot, testserver.Close()),
		}, "ada@example.net", 200, "sign up again", ""},
		{"our password", testserver.Script{
			testserver.On(testserver.Auth, testserver.Reply("535 5.7.8 Bad credentials")),
		}, "ada@example.net", 503, "try again later", "60"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stand.In(t, server, testserver.Config{
					Name: "smtp.example.com", TLS: testserver.StartTLS, RequireTLS: true, RequireAuth: true,
					Users: map[string]string{"app": "secret"}, Script: tc.script,
				})
				client, err := newClient()
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				r := httptest.NewRequestWithContext(t.Context(), "POST", "/signup", strings.NewReader(url.Values{"email": {tc.email}}.Encode()))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w := httptest.NewRecorder()
				start := time.Now()
				signup(client).ServeHTTP(w, r)
				if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.words) || w.Header().Get("Retry-After") != tc.again {
					t.Errorf("%d %q, Retry-After %q", w.Code, w.Body, w.Header().Get("Retry-After"))
				}
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}
