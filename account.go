package smtpretry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// accountPause is how long a refused account is left alone.
const accountPause = 10 * time.Minute

// An accountHold remembers that the server refused the account, so that a
// thousand messages do not knock a thousand times: providers lock accounts
// for that.
type accountHold struct {
	mu    sync.Mutex
	until time.Time
	print authPrint
	err   error
}

// note starts a hold if v says that the account was refused for good.
func (h *accountHold) note(p authPrint, v Verdict, err error, now time.Time) {
	if v.Class != Permanent || v.Scope != ScopeAccount || v.Stage != StageAuth && v.Stage != StageMail {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until, h.print, h.err = now.Add(accountPause), p, err
}

// lift ends the hold: credentials were accepted.
func (h *accountHold) lift() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until = time.Time{}
}

// on says whether the hold is in force.
func (h *accountHold) on(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return now.Before(h.until)
}

// active returns the refusal that is in force, nil if none is.
func (h *accountHold) active(now time.Time) (authPrint, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !now.Before(h.until) {
		return authPrint{}, nil
	}
	return h.print, h.err
}

// held returns the refusal of the account while it is in force and the
// credentials are those that were refused.
func (c *Client) held(ctx context.Context) error {
	now := time.Now()
	if !c.hold.on(now) {
		return nil
	}
	return c.stillHeld(ctx, now)
}

func (c *Client) stillHeld(ctx context.Context, now time.Time) error {
	print, refusal := c.hold.active(now)
	if refusal == nil {
		return nil
	}
	if c.cfg.Auth != nil {
		a, err := c.credentials(ctx)
		if err != nil {
			return err
		}
		if !print.fits(a) {
			return nil
		}
	}
	return &fault{rule: "account-held", class: Permanent, cause: CauseAuth, scope: ScopeAccount,
		msg: "the account was refused and its credentials have not changed", err: refusal}
}

// credentials returns a fresh mechanism, since one that was used cannot be
// reset; nil if there is no AUTH to be done.
func (c *Client) credentials(ctx context.Context) (sasl.Client, error) {
	if c.cfg.Auth == nil {
		return nil, nil
	}
	a, err := c.cfg.Auth(ctx)
	if err == nil && a == nil {
		err = errors.New("it returned no mechanism")
	}
	if err != nil {
		return nil, &fault{rule: "no-credentials", class: Temporary, cause: CauseAuth, scope: ScopeAccount,
			msg: "Config.Auth failed", err: err}
	}
	return a, nil
}

// auth logs in. The print is that of what was said. Nobody knows where an
// exchange stands whose mechanism has panicked, so that ends the connection.
func (cn *conn) auth(a sasl.Client) (authPrint, error) {
	r := &recorder{Client: a, allow: cn.mayAuth}
	ended := false
	defer func() {
		if !ended {
			cn.abort()
		}
	}()
	if cn.wire != nil {
		cn.wire.authing = true
		defer func() { cn.wire.authing = false }()
	}
	err := cn.smtp.Auth(r)
	ended = true
	return r.print(), r.hide(err)
}

// mayAuth refuses to show a secret to everybody on the way, and takes for one
// what a mechanism says that it does not know. Of a connection whose socket
// cannot be seen, its maker knows whether it is encrypted.
func (cn *conn) mayAuth(mech string) error {
	if cn.wire == nil || cn.wire.tls != nil || cn.wire.local {
		return nil
	}
	switch mech = strings.ToUpper(mech); {
	case strings.HasPrefix(mech, "SCRAM-"), mech == "CRAM-MD5", mech == "DIGEST-MD5", mech == "NTLM", mech == "GSSAPI",
		mech == sasl.Anonymous, mech == sasl.External:
		return nil
	}
	return errCleartextAuth
}

// An authPrint recognises credentials without holding them: by what they
// answer to what the server asked.
type authPrint struct {
	asked [][]byte
	said  [sha256.Size]byte
}

// fits says whether a, which is fresh, would have said the same.
func (p authPrint) fits(a sasl.Client) bool {
	r := &recorder{Client: a, allow: func(string) error { return nil }}
	_, _, _ = r.Start() // an error is an answer too, an empty one
	for _, challenge := range p.asked {
		_, _ = r.Next(challenge)
	}
	return r.print().said == p.said
}

// maxChallenges is how often a server may ask before an exchange is given up.
// The longest mechanisms take four; LOGIN's client would answer for ever.
const maxChallenges = 10

// A recorder takes the print of a SASL exchange.
type recorder struct {
	sasl.Client
	allow func(mech string) error
	asked [][]byte
	said  []byte
	lines []string // of said, without the mechanism
}

// Start implements sasl.Client.
func (r *recorder) Start() (string, []byte, error) {
	mech, resp, err := r.Client.Start()
	r.note([]byte(mech))
	r.say(resp)
	if err == nil {
		err = r.allow(mech)
	}
	return mech, resp, err
}

// Next implements sasl.Client.
func (r *recorder) Next(challenge []byte) ([]byte, error) {
	if len(r.asked) == maxChallenges {
		return nil, errAuthEndless
	}
	resp, err := r.Client.Next(challenge)
	r.asked = append(r.asked, challenge)
	r.say(resp)
	return resp, err
}

func (r *recorder) say(b []byte) {
	r.note(b)
	r.lines = append(r.lines, string(b))
}

func (r *recorder) note(b []byte) {
	r.said = append(fmt.Appendf(r.said, "%d:", len(b)), b...)
}

func (r *recorder) print() authPrint { return authPrint{r.asked, sha256.Sum256(r.said)} }

// hide takes out of the server's words what the mechanism has said: some
// servers repeat a line that they do not understand.
func (r *recorder) hide(err error) error {
	switch e := err.(type) {
	case *smtp.SMTPError:
		return &smtp.SMTPError{Code: e.Code, EnhancedCode: e.EnhancedCode, Message: redact(e.Message, r.lines)}
	case textproto.ProtocolError:
		return textproto.ProtocolError(redact(string(e), r.lines))
	case *sasl.OAuthBearerError:
		return &sasl.OAuthBearerError{Status: redact(e.Status, r.lines), Schemes: redact(e.Schemes, r.lines), Scope: redact(e.Scope, r.lines)}
	}
	return err
}
