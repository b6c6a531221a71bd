package check

import (
	"context"
	"encoding/base64"
	"errors"
	"net/textproto"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/server"
)

// auth tells which ways to log in there are, and logs in.
func (v *visit) auth(ctx context.Context, s *Step) {
	offered := strings.Fields(strings.ToUpper(v.talk.offers["AUTH"]))
	if v.c.User == "" {
		if len(offered) == 0 {
			s.ok("no login is offered, and no user was given")
		} else {
			s.ok("%s are offered; no user was given", oneOf(offered))
		}
		return
	}
	switch {
	case !v.talk.trusted:
		s.skip("clear-text", "no password goes over a connection without TLS and a good certificate")
		return
	case len(offered) == 0:
		s.fault("not-offered", "the server offers no login").
			advise("It may be a server that takes mail for its own domain only. Use the provider's server for sending, often port 587 or 465.")
		return
	case v.c.Password == "":
		s.skip("no-password", "%s are offered; there is no password: set SMTPRETRY_PASSWORD", oneOf(offered))
		return
	}
	for i, m := range server.Mechanisms {
		wanted := v.c.Mechanism == m || v.c.Mechanism == "" && i < 2
		if wanted && slices.Contains(offered, strings.ToUpper(m)) {
			v.login(ctx, s, server.Login(m, v.c.User, v.c.Password, v.c.Host))
			return
		}
	}
	if v.c.Mechanism != "" {
		s.fault("no-mechanism", "the server offers %s, and not %s", oneOf(offered), strings.ToUpper(v.c.Mechanism)).
			advise("Leave --auth out, or name one that is offered.")
		return
	}
	s.fault("no-mechanism", "the server offers %s, and none of them takes a password as it is", oneOf(offered)).
		advise("The provider may want an OAuth token (--auth oauthbearer) or an app password: see its documentation.")
}

func (v *visit) login(ctx context.Context, s *Step, client sasl.Client) {
	v.talk.keepSecret(v.c.Password)
	v.talk.keepSecret("\x00" + v.c.User + "\x00" + v.c.Password)
	mechanism, err := v.exchange(ctx, client)
	var (
		refusal *textproto.Error
		token   *sasl.OAuthBearerError
	)
	switch {
	case err == nil:
		s.ok("logged in as %s with %s", v.c.User, mechanism)
	case errors.As(err, &refusal) && refusal.Code == 535:
		s.refused("wrong-password", err, smtpretry.StageAuth)
		s.Text = "user or password is refused: " + s.Text
	case errors.As(err, &token):
		s.fault("wrong-password", "the token is refused: %s", token.Status).
			advise("Get a new token: they end soon, and are good for one scope only.")
	default:
		s.refused("refused", err, smtpretry.StageAuth)
	}
}

// exchange speaks AUTH (RFC 4954) to its end.
func (v *visit) exchange(ctx context.Context, client sasl.Client) (mechanism string, err error) {
	mechanism, first, err := client.Start()
	if err != nil {
		return mechanism, err
	}
	line, shown := "AUTH "+mechanism, ""
	if first != nil {
		line, shown = line+" "+v.secret(first), line+" "+hidden
	}
	for {
		if err := v.talk.say(ctx, line, shown); err != nil {
			return mechanism, err
		}
		text, err := v.talk.reply(ctx, replyTimeout, "235")
		if err == nil {
			return mechanism, nil
		}
		var more *textproto.Error
		if !errors.As(err, &more) || more.Code != 334 {
			return mechanism, err
		}
		challenge, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return mechanism, err
		}
		answer, err := client.Next(challenge)
		if err != nil {
			// RFC 4954 section 4: a star ends it.
			_, _ = v.talk.ask(ctx, "5", "*")
			return mechanism, err
		}
		line, shown = v.secret(answer), hidden
	}
}

// secret codes what is said, and remembers it.
func (v *visit) secret(answer []byte) string {
	coded := base64.StdEncoding.EncodeToString(answer)
	v.talk.keepSecret(coded)
	return coded
}

func isReply(err error) bool {
	var e *textproto.Error
	return errors.As(err, &e)
}
