package main

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/examples/internal/exampletest"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

func TestQuickstart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := testserver.Start(t, unready())
		var out bytes.Buffer
		start := time.Now()
		if err := run(t.Context(), &out, &smtpretry.Dialer{Addr: srv.Addr(), NetDial: srv.Dial}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 11*time.Second || took > 15*time.Second {
			t.Errorf("took %v, want 1 to 3 s and 10 to 11 s", took)
		}
		attempts := []string{
			`^ +0\.00s +127\.0\.0\.1 +greeting +temporary overload \(host\) +in [123]\.\d\ds +421 4\.3\.2 Service busy`,
			`^ +[123]\.\d\ds +127\.0\.0\.1 +rcpt +temporary greylist \(recipient\) +in 1[01]\.\d\ds +450 4\.2\.0 .*try again in 10 seconds`,
			`^ +1[1-4]\.\d\ds +127\.0\.0\.1 +dot +accepted +2\.0\.0 Ok: queued as`,
		}
		readme, err := os.ReadFile("../../README.md") // which shows them
		if err != nil {
			t.Fatal(err)
		}
		exampletest.Lines(t, string(readme), attempts...)
		exampletest.Lines(t, out.String(), append(attempts,
			`^Timeline: 1 accepted after 3 attempts in 1[1-4]`,
			`0\.00s +\|✗·+ +\| +421 temporary at greeting: overload$`,
			`\| +✗·+ +\| +450 temporary at rcpt: greylist$`,
			`\| +✓ *\| +accepted$`,
		)...)

		held := srv.Messages()
		if len(held) != 1 {
			t.Fatalf("the server holds %d messages, want 1", len(held))
		}
		if want := bytes.ReplaceAll(mail, []byte("\n"), []byte("\r\n")); !bytes.Equal(held[0].Body, want) {
			t.Errorf("the server holds another message than was sent:\n%q", held[0].Body)
		}
	})
}

// TestSample: the message is one that a mail program can read.
func TestSample(t *testing.T) {
	m, err := netmail.ReadMessage(bytes.NewReader(mail))
	if err != nil {
		t.Fatal(err)
	}
	types := parts(t, m.Header.Get("Content-Type"), m.Body)
	want := []string{"text/plain", "text/html", "text/csv"}
	if len(types) != len(want) {
		t.Fatalf("parts are %q, want %q", types, want)
	}
	for i := range want {
		if types[i] != want[i] {
			t.Errorf("parts are %q, want %q", types, want)
		}
	}
}

// parts reads a multipart body to its end and lists the types in it.
func parts(t *testing.T, contentType string, body io.Reader) (types []string) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	if params["boundary"] == "" {
		if _, err := io.ReadAll(body); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		return []string{kind}
	}
	r := multipart.NewReader(body, params["boundary"])
	for {
		p, err := r.NextPart() // decodes quoted-printable
		if err == io.EOF {
			return types
		}
		if err != nil {
			t.Fatal(err)
		}
		var content io.Reader = p
		if p.Header.Get("Content-Transfer-Encoding") == "base64" {
			content = base64.NewDecoder(base64.StdEncoding, p)
		}
		types = append(types, parts(t, p.Header.Get("Content-Type"), content)...)
	}
}
