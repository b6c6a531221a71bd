package smtpretry_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestFaultsEarlyRefusal: a 552 in the middle of the body is reported as what
// it is. Behind an upload that broke it can be read only where the socket can
// be seen; elsewhere it is a broken link.
func TestFaultsEarlyRefusal(t *testing.T) {
	tooBig := testserver.Reply("552 5.3.4 Message too big")
	for name, do := range map[string]*testserver.Action{
		"then closed":     tooBig.ThenClose(),
		"then silent":     tooBig.ThenStall(),
		"then reading on": tooBig,
		"small body":      tooBig.ThenClose(),
	} {
		for _, way := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				sent, do := bigText, do.AtByte(100_000)
				if name == "small body" {
					sent, do = text, do.AtByte(1)
				}
				c := faultCell{way: way, place: place{rcpts: 1, stage: testserver.Mail}}
				cfg := testserver.Config{Script: testserver.Script{testserver.On(testserver.Body, do)}}
				if c.secure() {
					cfg.TLS = testserver.StartTLS
				}
				if c.secure() || way == ownDial {
					cfg.Users = map[string]string{"me": "secret"}
				}
				bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
					cl := c.client(t, srv, new(sockets), func(cfg *smtpretry.Config) { cfg.Policy.MaxAttempts = 1 })
					defer cl.Close()
					m := note("a@example.net")
					m.Body = body(sent)
					res, err := cl.Send(t.Context(), m)
					holds(t, srv, sent)
					if !c.seen() && len(sent) > 100_000 && name != "then reading on" {
						wantStates(t, res, deferred)
						return
					}
					wantStates(t, res, rejected)
					wantOneReason(t, err, smtpretry.ErrRejected)
					if v := res.Recipients[0].Verdict; v.Code != 552 || v.Cause != smtpretry.CauseSize {
						t.Errorf("the verdict is %v", v)
					}
				})
			})
		}
	}
}

// TestFaultsReader: a body that fails is not delivered, in no part, and the
// next message is whole.
func TestFaultsReader(t *testing.T) {
	broken := errors.New("broken")
	for name, f := range map[string]struct {
		body func() io.Reader
		size int64
	}{
		"before the first octet": {body: func() io.Reader { return failingBody{broken} }},
		"in the middle":          {body: func() io.Reader { return io.MultiReader(strings.NewReader(bigText), failingBody{broken}) }},
		"in the middle, small":   {body: func() io.Reader { return io.MultiReader(strings.NewReader(text), failingBody{broken}) }},
		"longer than announced":  {func() io.Reader { return strings.NewReader(bigText) }, int64(len(bigText) - 1)},
		"shorter than announced": {func() io.Reader { return strings.NewReader(bigText) }, int64(len(bigText) + 1)},
	} {
		for _, way := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				c := faultCell{way: way, place: place{rcpts: 1, stage: testserver.Mail}}
				cfg := testserver.Config{}
				if c.secure() {
					cfg.TLS = testserver.StartTLS
				}
				if c.secure() || way == ownDial {
					cfg.Users = map[string]string{"me": "secret"}
				}
				bubble(t, cfg, func(t *testing.T, srv *testserver.Server) {
					var open sockets
					cl := c.client(t, srv, &open)
					var held []string
					if c.kept() {
						if _, err := cl.Send(t.Context(), note("first@example.net")); err != nil {
							t.Fatal(err)
						}
						held = append(held, "first@example.net")
					}
					m := note("a@example.net")
					m.Size = f.size
					m.Body = func() (io.ReadCloser, error) { return io.NopCloser(f.body()), nil }
					res, err := cl.Send(t.Context(), m)
					wantStates(t, res, deferred)
					var field *smtpretry.FieldError
					if !errors.As(err, &field) || f.size == 0 && !errors.Is(err, broken) {
						t.Errorf("got %v, want a *FieldError", err)
					}
					_, err = cl.Send(t.Context(), note("next@example.net"))
					if lost := way == withoutDial && errors.Is(err, smtpretry.ErrNoReconnect); err == nil {
						held = append(held, "next@example.net")
					} else if !lost {
						t.Errorf("the next message: %v", err)
					}
					holds(t, srv, text, held...)
					cl.Close()
					if open.open > 0 {
						t.Errorf("%d sockets are open", open.open)
					}
				})
			})
		}
	}
}

type failingBody struct{ err error }

func (f failingBody) Read([]byte) (int, error) { return 0, f.err }
