package server_test

import (
	"strings"
	"testing"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/server"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]struct {
		addr           string
		tls            smtpretry.TLSMode
		lmtp           bool
		user, password string
	}{
		"smtp://mail.example.org":                   {"mail.example.org:587", smtpretry.TLSAuto, false, "", ""},
		"mail.example.org:2525":                     {"mail.example.org:2525", smtpretry.TLSAuto, false, "", ""},
		"me@mail.example.org":                       {"mail.example.org:587", smtpretry.TLSAuto, false, "me", ""},
		"smtps://me%40example.org@mail.example":     {"mail.example:465", smtpretry.TLSImplicit, false, "me@example.org", ""},
		"smtp+starttls://me:s%2Fcret@mail.example/": {"mail.example:587", smtpretry.TLSStartTLS, false, "me", "s/cret"},
		"smtp+plain://[::1]:25":                     {"[::1]:25", smtpretry.TLSNone, false, "", ""},
		"lmtp://127.0.0.1":                          {"127.0.0.1:24", smtpretry.TLSAuto, true, "", ""},
	} {
		s, err := server.Parse(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if s.Dialer.Addr != want.addr || s.Dialer.TLS != want.tls || s.Dialer.LMTP != want.lmtp || s.User != want.user || s.Password != want.password {
			t.Errorf("%s: %+v of %+v, want %+v", in, s.Dialer, s, want)
		}
	}
	for _, in := range []string{"http://me:s3cret@x", "smtp://", "smtp://me:s3cret@", "smtp://me:s3cret@x/inbox", "smtp://me:s3cret@x?tls=no", "smtp://me:s3cret%zz@x"} {
		if s, err := server.Parse(in); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %+v, %v", in, s, err)
		}
	}
}
