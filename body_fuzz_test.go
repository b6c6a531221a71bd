package smtpretry_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// FuzzBody: however a body is read, the server takes out of its dots what went
// in, with CRLF at the end of each line, or the body is refused.
func FuzzBody(f *testing.F) {
	for _, s := range []string{text, "", ".", "\r\n.\r\n", "a\n.\nMAIL FROM:<x>\n", "\r", "a\r\r\n", "..\n...\n", "\n\r\n\n", "a\r\n.\r", "\x00\xff\n.\n\x1a"} {
		f.Add([]byte(s), uint32(1), uint16(0))
		f.Add([]byte(s), uint32(0xffff), uint16(1021))
	}
	const chunk = smtpretry.BodyChunk
	f.Add([]byte("\r\n.\r\nQUIT\r\n"), uint32(7), uint16(chunk-2))
	f.Add([]byte("\r.\r\n"), uint32(3), uint16(chunk-1))
	f.Fuzz(func(t *testing.T, tail []byte, cuts uint32, before uint16) {
		// The border of what is read at a time, and of what is written at a
		// time, is near.
		content := append(bytes.Repeat([]byte{'x'}, int(before)), tail...)
		want := bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
		bare := bytes.Contains(bytes.ReplaceAll(content, []byte("\r\n"), []byte("|")), []byte("\r"))
		want = bytes.ReplaceAll(want, []byte("\n"), []byte("\r\n"))
		if !bytes.HasSuffix(want, []byte("\r\n")) {
			want = append(want, "\r\n"...)
		}
		synctest.Test(t, func(t *testing.T) {
			srv := testserver.Start(t, testserver.Config{})
			c := client(t, srv, nil)
			m := note("a@example.net")
			m.Body = func() (io.ReadCloser, error) { return io.NopCloser(&choppy{content, cuts}), nil }
			_, err := c.Send(t.Context(), m)
			var field *smtpretry.FieldError
			switch {
			case bare:
				if !errors.As(err, &field) || len(srv.Messages()) != 0 {
					t.Fatalf("a bare CR: %v, and %d messages", err, len(srv.Messages()))
				}
			case err != nil:
				t.Fatal(err)
			default:
				holds(t, srv, string(want), "a@example.net")
			}
			if n := strings.Count(srv.Transcript(), "C: MAIL"); n > 1 || strings.Contains(srv.Transcript(), "S: 5") {
				t.Errorf("the body was read as commands:\n%s", srv.Transcript())
			}
			// Nothing of it is left on the connection.
			if _, err := c.Send(t.Context(), note("b@example.net")); err != nil {
				t.Error(err)
			}
			if got := srv.Messages(); string(got[len(got)-1].Body) != text {
				t.Errorf("then the server holds %q", got[len(got)-1].Body)
			}
		})
	})
}

// A choppy reader gives its bytes in parts whose lengths follow from cuts.
type choppy struct {
	rest []byte
	cuts uint32
}

func (c *choppy) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	c.cuts = c.cuts*1664525 + 1013904223
	n := copy(p[:min(len(p), 1+int(c.cuts>>16)%8000)], c.rest)
	c.rest = c.rest[n:]
	if len(c.rest) == 0 && c.cuts&0x8000 != 0 {
		return n, io.EOF // with the last part
	}
	return n, nil
}
