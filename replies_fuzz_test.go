package smtpretry_test

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
)

// What a server may say on one connection to one message; fuzzing starts here.
const (
	okStream    = "220 hi\r\n250-mx\r\n250-8BITMIME\r\n250-SIZE 1000\r\n250 AUTH PLAIN\r\n235 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n"
	groupStream = "220 hi\r\n250-mx\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n235 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n"
	lmtpStream  = "220 hi\r\n250 mx\r\n235 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 one\r\n450 two\r\n"
)

// The bits of FuzzReplies' flags.
const (
	asLMTP      = 1 << iota
	goesSilent  // when all is said, instead of hanging up
	repeats     // the last line, again and again
	asWrapped   // a client of go-smtp's own making
	inDrops     // an octet at a time
	retryDoubts // Policy.RetryInDoubt
)

// FuzzReplies plays what a server says, at once for each connection, to two
// messages that are sent after each other. Whatever it is, both end in time,
// nobody is accounted for as accepted who was not, and nothing that must not
// comes into the log.
func FuzzReplies(f *testing.F) {
	f.Add([]byte(okStream), uint8(0))
	f.Add([]byte(okStream+"250 ok\r\n250 mx\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 again\r\n"), uint8(goesSilent))
	f.Add([]byte(lmtpStream), uint8(asLMTP))
	f.Add([]byte(lmtpStream+"\xfe"+lmtpStream), uint8(asLMTP|inDrops))
	f.Add([]byte("220 hi\r\n250 mx\r\n250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n250 ok\r\n"), uint8(asWrapped))
	f.Add([]byte("421 4.7.0 try again in 99999999 hours\r\n\xfe"+okStream), uint8(0))
	f.Add([]byte("220-hi\r\n"), uint8(repeats))
	f.Add([]byte("220 hi\r\n250-mx\r\n"), uint8(repeats|asWrapped))
	f.Add([]byte("220 hi\r\n250 mx\r\n334 UGFzc3dvcmQ6\r\n"), uint8(repeats))
	f.Add([]byte("220 hi\r\n500 what\r\n250 helo\r\n535 no \x1b[2J\u202e\r\n"), uint8(goesSilent))
	f.Add([]byte(strings.Replace(okStream, "250 queued", "451-4.3.0 a\r\n250 b\r\n451 c", 1)), uint8(goesSilent|retryDoubts))
	f.Add([]byte(strings.Replace(okStream, "250 queued", "\x00\xff\r\n", 1)+"\xfe"+okStream), uint8(retryDoubts))
	f.Add([]byte(strings.Replace(okStream, "354 go", "250 go", 1)), uint8(goesSilent))
	f.Add([]byte(groupStream+"250 ok\r\n250 ok\r\n354 go\r\n250 again\r\n"), uint8(goesSilent))
	f.Add([]byte(strings.Replace(groupStream, "250 ok\r\n354 go", "503 what\r\n354 go", 1)+"\xfe"+groupStream), uint8(0))
	f.Add([]byte(strings.Replace(groupStream, "235 ok\r\n250 ok", "235 ok\r\n550 no", 1)), uint8(goesSilent|inDrops))
	f.Add([]byte(strings.Replace(groupStream, "250 ok\r\n250 ok\r\n354", "550 no\r\n450 no\r\n354", 1)), uint8(0))
	f.Add([]byte(strings.Replace(groupStream, "354 go\r\n", "", 1)), uint8(goesSilent))
	f.Add([]byte(strings.Replace(lmtpStream, "250 mx", "250-mx\r\n250 PIPELINING", 1)), uint8(asLMTP))
	f.Add([]byte("\n0"), uint8(asLMTP|goesSilent|repeats|asWrapped|inDrops))
	f.Fuzz(func(t *testing.T, data []byte, flags uint8) {
		has := func(flag uint8) bool { return flags&flag != 0 }
		l := &leak{t: t}
		l.forbid(canarySecret)
		l.forbid(canaryBody)
		for _, word := range l.words {
			if bytes.Contains(data, []byte(word)) {
				return // it has it from elsewhere
			}
		}
		synctest.Test(t, func(t *testing.T) {
			streams := bytes.Split(data, []byte{0xfe})
			var played []*play
			serve := func(conn net.Conn) {
				p := &play{}
				if len(played) < len(streams) {
					p.stream = streams[len(played)]
				}
				played = append(played, p)
				if has(repeats) {
					lines := bytes.SplitAfter(bytes.TrimSuffix(p.stream, []byte("\n")), []byte("\n"))
					if last := lines[len(lines)-1]; len(last) > 3 {
						p.stream = append(bytes.Clone(p.stream), bytes.Repeat(append(bytes.Clone(last), '\n'), 300_000/len(last))...)
					}
				}
				p.run(conn, has(goesSilent), has(inDrops))
			}
			var log bytes.Buffer
			change := func(cfg *smtpretry.Config) {
				cfg.Policy.MaxAttempts, cfg.Policy.RetryInDoubt = 3, has(retryDoubts)
				cfg.Auth = func(context.Context) (sasl.Client, error) { return mechanisms["PLAIN"](), nil }
				cfg.Dialer.LMTP = has(asLMTP)
				cfg.Logger = slog.New(manyHandlers{&plainHandler{&log}})
				cfg.Trace = &smtpretry.Trace{Attempted: func(a smtpretry.Attempt) { l.tell(a.Verdict); l.tell(a.Queued); l.error(a.Err) }}
			}
			var c *smtpretry.Client
			if has(asWrapped) {
				c = wrappedHostile(t, serve)
			} else {
				c = hostileClient(t, serve, change)
			}
			start := time.Now()
			var accepted []string
			for _, to := range [][]string{{"a@example.net", "b@example.net"}, {"c@example.net"}} {
				m := note(to...)
				m.Body = body(canaryBody + "\r\n.\r\n250 ok\r\n")
				res, err := c.Send(t.Context(), m)
				all := true
				for _, r := range res.Recipients {
					all = all && r.State == smtpretry.Accepted
					if r.State == smtpretry.Accepted {
						accepted = append(accepted, r.Address)
					}
					fitForLog(t, "Verdict.Text", r.Verdict.Text)
				}
				if (err == nil) != all {
					t.Errorf("%v, but %v", res, err)
				}
				if err != nil {
					fitForLog(t, "the error", err.Error())
					l.error(err)
				}
			}
			took(t, start, 0, 8*time.Hour)
			c.Close()
			time.Sleep(time.Minute) // the server notices
			synctest.Wait()
			for line := range strings.Lines(log.String()) {
				fitForLog(t, "a log line", strings.TrimSuffix(line, "\n"))
				l.told = append(l.told, line)
			}
			l.check()
			may := map[string]bool{}
			for _, p := range played {
				p.accepted(has(asLMTP) && !has(asWrapped), may)
			}
			for _, addr := range accepted {
				if !may[addr] {
					t.Errorf("%s is accepted, but the server did not say so", addr)
				}
			}
		})
	})
}

// A play is one connection of FuzzReplies.
type play struct {
	stream []byte
	heard  strings.Builder
}

func (p *play) run(conn net.Conn, stall, drops bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := recorded{conn, &p.heard}
		buf := make([]byte, 4096)
		for {
			if _, err := r.Read(buf); err != nil {
				return
			}
		}
	}()
	part := 1 << 20
	if drops && len(p.stream) < 2000 {
		part = 1
	}
	for rest := p.stream; len(rest) > 0; {
		n, err := conn.Write(rest[:min(part, len(rest))])
		if err != nil {
			break
		}
		rest = rest[n:]
		if drops {
			time.Sleep(time.Millisecond)
		}
	}
	if !stall {
		conn.(interface{ CloseWrite() error }).CloseWrite()
	}
	<-done
}

// accepted adds the recipients whom the server has accepted, going by the
// order of commands and replies alone.
func (p *play) accepted(lmtp bool, to map[string]bool) {
	replies := textproto.NewReader(bufio.NewReader(bytes.NewReader(p.stream)))
	next := func() int {
		code, _, err := replies.ReadResponse(0)
		if err != nil {
			return 0
		}
		return code
	}
	last := next() // the greeting
	var rcpts []string
	body := false
	for line := range strings.SplitSeq(p.heard.String(), "\r\n") {
		switch {
		case body && line != "." || line == "":
			continue
		case line == "*" && last != 334:
			continue
		case body:
			body = false
			code := 0
			for i, rcpt := range rcpts {
				if i == 0 || lmtp {
					code = next()
				}
				if code/100 == 2 {
					to[rcpt] = true
				}
			}
			continue
		}
		last = next()
		switch {
		case strings.HasPrefix(line, "MAIL"):
			rcpts = nil
		case strings.HasPrefix(line, "RCPT TO:<") && last/10 == 25:
			addr, _, _ := strings.Cut(line[len("RCPT TO:<"):], ">")
			rcpts = append(rcpts, addr)
		case line == "DATA" && last == 354:
			body = true
		}
	}
}
