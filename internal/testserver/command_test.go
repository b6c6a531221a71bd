package testserver_test

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net/textproto"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestDialogues holds the server to the RFCs, line by line.
func TestDialogues(t *testing.T) {
	const hi = "S: 220 mx.example.test ESMTP\nC: EHLO x\nS: 250\n"
	for _, tt := range []struct {
		name string
		cfg  testserver.Config
		text string
	}{
		{"order of commands", testserver.Config{}, `
			S: 220
			C: MAIL FROM:<a@b.c>
			S: 503 5.5.1
			C: HELO x
			S: 250 mx.example.test
			C: RCPT TO:<a@b.c>
			S: 503 5.5.1
			C: DATA
			S: 503 5.5.1
			C: MAIL FROM:<a@b.c>
			S: 250
			C: MAIL FROM:<a@b.c>
			S: 503 5.5.1
			C: DATA
			S: 554 5.5.1
			C: RCPT TO:<d@e.f>
			S: 250
			C: RSET
			S: 250
			C: DATA
			S: 503
			C: QUIT
			S: 221
			X:`},
		{"hello forgets the transaction", testserver.Config{}, hi + `
			C: MAIL FROM:<a@b.c>
			S: 250
			C: EHLO again
			S: 250
			C: MAIL FROM:<a@b.c>
			S: 250`},
		{"syntax", testserver.Config{}, hi + `
			C: EHLO
			S: 501 5.5.4
			C: MAIL a@b.c
			S: 501 5.5.4
			C: MAIL FROM:a@b.c
			S: 501 5.1.7
			C: MAIL FROM:<a@b.c
			S: 501 5.1.7
			C: MAIL FROM:<a b@c.d>
			S: 501 5.1.7
			C: MAIL FROM:<a@b.c> SIZE=1 SIZE=1
			S: 501 5.5.4
			C: MAIL FROM:<a@b.c> SIZE=-1
			S: 501 5.5.4
			C: MAIL FROM:<a@b.c> FOO=1
			S: 555 5.5.4
			C: MAIL FROM:<ä@b.c>
			S: 553 5.6.7
			C: MAIL FROM:<a@b.c>x
			S: 501
			C: mail from: <@r.s,@t.u:"a > b"@c.d> size=5 body=8bitmime smtputf8 ret=hdrs envid=q
			S: 250
			C: RCPT TO:<>
			S: 501 5.1.3
			C: RCPT TO:<nobody>
			S: 501 5.1.3
			C: RCPT TO:<PostMaster>
			S: 250
			C: RCPT TO:<ü@b.c> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x
			S: 250
			C: RCPT TO:<d@e.f> NOTIFY=NEVER,DELAY
			S: 501 5.5.4
			C: RCPT TO:<d@e.f> NOTIFY=
			S: 501 5.5.4
			C: DATA now
			S: 501
			C: RSET
			S: 250
			C: MAIL FROM:<>
			S: 250 2.1.0
			C: VRFY
			S: 501
			C: VRFY x
			S: 252
			C: HELP
			S: 214
			C: NOOP
			S: 250
			C: EXPN x
			S: 502
			C: BOO
			S: 500 5.5.2`},
		{"too many errors", testserver.Config{MaxErrors: 2}, hi + `
			C: BOO
			S: 500
			C: BOO
			S: 500
			C: BOO
			S: 421 4.7.0
			X:`},
		{"long lines", testserver.Config{}, hi + `
			C: NOOP ` + strings.Repeat("x", 3000) + `
			S: 500 5.5.2
			C: ` + strings.Repeat("x", 40000) + `
			S: 500 5.5.2
			C: NOOP
			S: 250`},
		{"a group in one write", testserver.Config{}, hi + `
			C: MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nRCPT TO:<bad>\r\nDATA
			S: 250 2.1.0
			S: 250 2.1.5
			S: 501
			S: 354
			C: x\r\n.\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nQUIT
			S: 250 2.0.0
			S: 250 2.1.0
			S: 250 2.1.5
			S: 221
			X:`},
		{"a group without PIPELINING", testserver.Config{Without: []string{"PIPELINING"}}, hi + `
			C: NOOP\r\nNOOP
			S: 503 5.5.0
			S: 250`},
		{"a body ahead of the 354", testserver.Config{}, hi + `
			C: MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nhello\r\n.\r\nMAIL FROM:<evil@b.c>
			S: 250
			S: 250
			S: 503 5.5.0
			X:`},
		{"commands behind STARTTLS", testserver.Config{TLS: testserver.StartTLS}, hi + `
			C: STARTTLS\r\nMAIL FROM:<evil@b.c>
			S: 554 5.5.1
			X:`},
		{"TLS wanted", testserver.Config{TLS: testserver.StartTLS, RequireTLS: true, Users: map[string]string{"u": "p"}}, hi + `
			C: MAIL FROM:<a@b.c>
			S: 530 5.7.0
			C: AUTH PLAIN AHUAcA==
			S: 530 5.7.0
			C: STARTTLS x
			S: 501
			C: NOOP
			S: 250`},
		{"AUTH under TLS only", testserver.Config{TLS: testserver.StartTLS, Users: map[string]string{"u": "p"}}, hi + `
			C: AUTH PLAIN AHUAcA==
			S: 538 5.7.11`},
		{"AUTH wanted", testserver.Config{RequireAuth: true, Users: map[string]string{"u": "p"}}, hi + `
			C: MAIL FROM:<a@b.c>
			S: 530 5.7.0
			C: AUTH CRAM-MD5
			S: 504
			C: AUTH PLAIN
			S: 334 
			C: *
			S: 501
			C: AUTH PLAIN ???
			S: 501
			C: AUTH PLAIN =
			S: 501
			C: AUTH PLAIN AHUAeA==
			S: 535 5.7.8
			C: AUTH LOGIN dQ==
			S: 334 UGFzc3dvcmQ6
			C: cA==
			S: 235 2.7.0
			C: AUTH PLAIN AHUAcA==
			S: 503
			C: MAIL FROM:<a@b.c> AUTH=<>
			S: 250`},
		{"no TLS, no AUTH", testserver.Config{}, hi + `
			C: STARTTLS
			S: 502
			C: AUTH PLAIN AHUAcA==
			S: 503
			C: MAIL FROM:<a@b.c> AUTH=<>
			S: 555`},
		{"size known beforehand", testserver.Config{MaxSize: 100}, hi + `
			C: MAIL FROM:<a@b.c> SIZE=101
			S: 552 5.3.4
			C: MAIL FROM:<a@b.c> SIZE=100
			S: 250`},
		{"size found out", testserver.Config{MaxSize: 100}, hi + `
			C: MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA
			S: 250
			S: 250
			S: 354
			C: ` + strings.Repeat("x", 200) + `\r\n.
			S: 552 5.3.4
			C: NOOP
			S: 250`},
		{"size found out early", testserver.Config{MaxSize: 100, EarlySize: true}, hi + `
			C: MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA
			S: 250
			S: 250
			S: 354
			C: ` + strings.Repeat("x", 200) + `
			S: 552 5.3.4
			X:`},
		{"plain old SMTP", testserver.Config{Without: []string{"EHLO", "ENHANCEDSTATUSCODES", "SIZE"}}, `
			S: 220
			C: EHLO x
			S: 502 Error
			C: LHLO x
			S: 502 Error
			C: HELO x
			S: 250
			C: MAIL FROM:<a@b.c> SIZE=1
			S: 555 Unsupported
			C: MAIL FROM:<a@b.c>
			S: 250 Ok`},
		{"chunks", testserver.Config{}, hi + `
			C: MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 7\r\nhello\r\nBDAT 3 LAST\r\n.
			S: 250 2.1.0
			S: 250 2.1.5
			S: 250 2.0.0 7 octets
			S: 250 2.0.0 Ok: queued
			C: BDAT 3\r\nx
			S: 503
			C: MAIL FROM:<a@b.c>\r\nBDAT 3 LAST\r\nx
			S: 250
			S: 554
			C: RCPT TO:<d@e.f>\r\nBDAT 3\r\nx\r\nDATA
			S: 250
			S: 250
			S: 503
			C: BDAT x
			S: 501
			X:`},
		{"LMTP", testserver.Config{LMTP: true, Script: testserver.Script{
			testserver.On(testserver.Dot, testserver.Reply("452 4.2.2 full")).To("full@"),
		}}, `
			S: 220 mx.example.test LMTP
			C: EHLO x
			S: 502
			C: LHLO x
			S: 250
			C: MAIL FROM:<a@b.c>\r\nRCPT TO:<one@e.f>\r\nRCPT TO:<full@e.f>\r\nRCPT TO:<two@e.f>\r\nDATA
			S: 250
			S: 250
			S: 250
			S: 250
			S: 354
			C: x\r\n.
			S: 250 2.1.5 <one@e.f>
			S: 452 4.2.2
			S: 250 2.1.5 <two@e.f>
			C: QUIT
			S: 221
			X:`},
		{"an unfriendly greeting", testserver.Config{Script: testserver.Script{
			testserver.On(testserver.Greeting, testserver.Reply("554 no service")),
		}}, `
			S: 554 no service
			C: EHLO x
			S: 503 5.5.1
			C: QUIT
			S: 221
			X:`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, tt.cfg, func(t *testing.T, srv *testserver.Server) { dialogue(t, srv, tt.text) })
		})
	}
}

func TestChunksAreJoined(t *testing.T) {
	inBubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		dialogue(t, srv, `
			S: 220
			C: EHLO x
			S: 250
			C: MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 6\r\n.one\r\nBDAT 5 LAST\r\ntwo
			S: 250
			S: 250
			S: 250
			S: 250
			C: QUIT
			S: 221
			X:`)
		if ms := srv.Messages(); len(ms) != 1 || string(ms[0].Body) != ".one\r\ntwo\r\n" {
			t.Errorf("recorded %+v", ms)
		}
	})
}

func TestGreetingList(t *testing.T) {
	cfg := testserver.Config{
		Name: "mail.example.test", MaxSize: 1000, TLS: testserver.StartTLS,
		Users: map[string]string{"u": "p"}, Mechanisms: []string{"PLAIN", "XOAUTH2"},
		Without: []string{"dsn", "CHUNKING"}, Extra: []string{"X-OWN thing"},
		Limits: testserver.Limits{PerConn: 3, PerMessage: 4, Domains: 5, Announce: true},
	}
	inBubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
		r := textproto.NewReader(bufio.NewReader(connect(t, srv)))
		if _, text, err := r.ReadResponse(220); err != nil || text != "mail.example.test ESMTP" {
			t.Errorf("greeting %q, %v", text, err)
		}
		conn := connect(t, srv)
		io.WriteString(conn, "EHLO x\r\n")
		r = textproto.NewReader(bufio.NewReader(conn))
		r.ReadResponse(220)
		_, text, err := r.ReadResponse(250)
		want := "mail.example.test\nPIPELINING\nSIZE 1000\n8BITMIME\nENHANCEDSTATUSCODES\nSMTPUTF8\nSTARTTLS\n" +
			"LIMITS MAILMAX=3 RCPTMAX=4 RCPTDOMAINMAX=5\nX-OWN thing"
		if text != want || err != nil {
			t.Errorf("EHLO gave\n%s\nwant\n%s (%v)", text, want, err)
		}
		tlsClient, err := smtp.NewClientStartTLS(connect(t, srv), srv.TLSConfig())
		if err != nil {
			t.Fatal(err)
		}
		if !tlsClient.SupportsAuth("XOAUTH2") || tlsClient.SupportsAuth("LOGIN") {
			t.Error("AUTH is not offered under TLS as configured")
		}
		if ok, _ := tlsClient.Extension("STARTTLS"); ok {
			t.Error("STARTTLS is offered under TLS")
		}
	})
}

// TestOnlyTheRealDotEndsABody sends the look-alikes of smuggling attacks.
func TestOnlyTheRealDotEndsABody(t *testing.T) {
	for _, inner := range []string{"\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\r\n.\n", "\r.\r\n", "\n\n..\r\n"} {
		inBubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
			conn := connect(t, srv)
			body := "x" + inner + "MAIL FROM:<evil@b.c>\r\n"
			io.WriteString(conn, "EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n")
			r := bufio.NewReader(conn)
			for range 5 {
				readReply(r)
			}
			io.WriteString(conn, body+".\r\nQUIT\r\n")
			io.Copy(io.Discard, conn)
			ms := srv.Messages()
			if len(ms) != 1 || !ms[0].Bare {
				t.Fatalf("%q: recorded %+v", inner, ms)
			}
			// A dot at the start of a line that begins after CRLF is unstuffed.
			want := strings.Replace(body, "\r\n.", "\r\n", 1)
			if string(ms[0].Body) != want {
				t.Errorf("%q: body %q, want %q", inner, ms[0].Body, want)
			}
		})
	}
}

// TestRandomBodies sends bodies made of awkward pieces, through the standard
// library's dot writer, in pieces of any size.
func TestRandomBodies(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	pieces := []string{"\r\n", ".", "..", "\r\n.", "\r\n.\r\n", "x", strings.Repeat("y", 5000), strings.Repeat("z", 16<<10), "\r\n\r\n"}
	inBubble(t, testserver.Config{}, func(t *testing.T, srv *testserver.Server) {
		c := dial(t, srv)
		for i := range 100 {
			var body bytes.Buffer
			for range 1 + r.IntN(20) {
				body.WriteString(pieces[r.IntN(len(pieces))])
			}
			body.WriteString("\r\n")
			if err := c.SendMail(sender, []string{friend}, bytes.NewReader(body.Bytes())); err != nil {
				t.Fatal(err)
			}
			if m := srv.Messages()[i]; !bytes.Equal(m.Body, body.Bytes()) || m.Bare {
				t.Fatalf("seed %d, body %d: %d bytes recorded (bare %v), %d sent", seed, i, m.Size, m.Bare, body.Len())
			}
		}
	})
}

// FuzzSession throws bytes at a server and watches that it lives on.
func FuzzSession(f *testing.F) {
	f.Add([]byte("EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n"))
	f.Add([]byte("EHLO x\r\nMAIL FROM:<a@b.c> SIZE=9 BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<\"q\\\"\"@e.f> ORCPT=rfc822;x\r\nBDAT 3\r\nabcBDAT 0 LAST\r\n"))
	f.Add([]byte("EHLO x\r\nAUTH PLAIN\r\n=\r\nAUTH LOGIN dQ==\r\n*\r\nAUTH XOAUTH2 dXNlcj11\r\n\r\n"))
	f.Add([]byte("HELO x\nMAIL FROM:<@a:>\nRCPT TO:<\"\nVRFY\nNOOP\x00\nSTARTTLS\n\xff\xfe"))
	f.Add([]byte("BDAT 99999999999999999999\r\nBDAT 4611686018427387903 LAST\r\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		cfg := testserver.Config{TLS: testserver.NoTLS, Users: map[string]string{"u": "p"}, Mechanisms: []string{"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"}}
		srv := testserver.Start(t, cfg)
		conn, err := srv.Dial(t.Context(), "tcp", "")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn.Write(input)
			conn.(interface{ CloseWrite() error }).CloseWrite()
		}()
		r := bufio.NewReader(conn)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				break
			}
			if len(line) < 6 || line[0] < '2' || line[0] > '5' || !strings.HasSuffix(line, "\r\n") {
				t.Errorf("reply %q", line)
			}
		}
		conn.Close()
		if err := send(dial(t, srv), friend); err != nil {
			t.Errorf("the server does not live on: %v", err)
		}
	})
}
