package smtpretry_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
)

// extensionSeeds are replies to EHLO, and more.
var extensionSeeds = []string{
	"250-mx.example\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250-SIZE 1000\r\n250 SMTPUTF8\r\n",
	"250 STARTTLS\r\n",
	"250-mx\r\n250 starttls\r\n",
	"250-mx\r\n250 STARTTLS now\r\n",
	"250-mx\r\n250-XSTARTTLS\r\n250 STARTTLS2\r\n",
	"250-mx\r\n250-AUTH=LOGIN PLAIN\r\n250-auth plain\r\n250 AUTH\r\n",
	"250-mx\r\n250-SIZE -1\r\n250-SIZE 99999999999999999999\r\n250 SIZE\r\n",
	"250-mx\r\n250-LIMITS RCPTMAX=1 MAILMAX=0\r\n250 LIMITS RCPTMAX=-5\r\n",
	"250-mx\r\n250- STARTTLS\r\n250-\r\n250 \tSTARTTLS\r\n",
	"250-mx\r\n250-STARTTLS\x00\r\n250 REQUIRETLS\r\n",
	"250-mx\r\n550 STARTTLS\r\n250 8BITMIME\r\n",
	"502 what\r\n250 HELO is fine\r\n",
	"250-mx\r\n" + strings.Repeat("250-X-STARTTLS STARTTLS\r\n", 100) + "250 DSN\r\n",
	"250-mx\r\n250 STARTTLS\r\n220 go\r\n250-mx\r\n250 AUTH PLAIN\r\n235 ok\r\n",
	"220 go\r\n",
	"250-mx\r\n250 STARTTLS\r\n454 not now\r\n250 mx\r\n",
}

// FuzzExtensions puts a server's EHLO, however odd, and what it says behind
// it, before a client that asks for TLS beyond this machine: nothing but EHLO
// and STARTTLS goes out in clear text. Without TLS, nothing but AUTH is
// withheld, and a size that no server has is no reason to panic.
func FuzzExtensions(f *testing.F) {
	for _, s := range extensionSeeds {
		f.Add([]byte(s), "250 ok\r\n", false)
		f.Add([]byte(s), "220 go\r\n", true)
	}
	f.Fuzz(func(t *testing.T, ehlo []byte, then string, auto bool) {
		for mode, addr := range map[smtpretry.TLSMode]string{
			smtpretry.TLSStartTLS: "127.0.0.1:25", // asked for even there
			smtpretry.TLSAuto:     "mx.example:587",
			smtpretry.TLSNone:     "mx.example:25",
		} {
			if auto != (mode == smtpretry.TLSAuto) {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				var conns []*strings.Builder
				serve := func(conn net.Conn) {
					io.WriteString(conn, "220 mx.example\r\n")
					heard := new(strings.Builder)
					conns = append(conns, heard)
					r := recorded{conn, heard}
					for n, buf := 0, make([]byte, 4096); ; n++ {
						if _, err := r.Read(buf); err != nil {
							return
						}
						words := []byte(then)
						if n == 0 {
							words = ehlo
						}
						if _, err := conn.Write(words); err != nil || n > 20 {
							return
						}
					}
				}
				c := hostileClient(t, serve, func(cfg *smtpretry.Config) {
					dial := cfg.Dialer.NetDial
					cfg.Dialer.Addr, cfg.Dialer.TLS = addr, mode
					cfg.Dialer.NetDial = func(ctx context.Context, network, to string) (net.Conn, error) {
						conn, err := dial(ctx, network, to)
						return from{conn, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 25}}, err
					}
					if mode != smtpretry.TLSNone {
						return // whatever goes on without TLS gets as far as MAIL
					}
					cfg.Auth = func(context.Context) (sasl.Client, error) { return mechanisms["PLAIN"](), nil }
				})
				m := note("a@example.net")
				m.Size = int64(len(text))
				res, err := c.Send(t.Context(), m)
				if err == nil || res.Recipients[0].State != smtpretry.Deferred {
					t.Errorf("sent without TLS or AUTH: %v", res)
				}
				// By hand, too.
				c.Extension("STARTTLS")
				c.SupportsAuth("PLAIN")
				c.MaxMessageSize()
				if c.Auth(mechanisms["PLAIN"]()) == nil {
					t.Error("AUTH went through")
				}
				c.Close()
				synctest.Wait()
				for _, heard := range conns {
					if bad := inTheClear(heard.String(), mode); bad != "" {
						t.Errorf("%v at %s: %s in %q, after %q", mode, addr, bad, heard.String(), ehlo)
					}
				}
			})
		}
	})
}

// inTheClear says what must not have been in what went out.
func inTheClear(heard string, mode smtpretry.TLSMode) string {
	for line := range strings.SplitSeq(heard, "\r\n") {
		switch verb, _, _ := strings.Cut(line, " "); verb {
		case "", "EHLO", "HELO", "QUIT", "RSET", "*":
		case "STARTTLS":
			if mode == smtpretry.TLSNone {
				return line
			}
			if _, after, _ := strings.Cut(heard, "STARTTLS\r\n"); after != "" && after[0] != 0x16 && after[0] != 0x15 {
				return "no TLS record"
			}
			return "" // what follows is TLS's
		default:
			if line[0] == 0x16 || line[0] == 0x15 { // of a handshake, of an alert
				return ""
			}
			return line
		}
	}
	return ""
}
