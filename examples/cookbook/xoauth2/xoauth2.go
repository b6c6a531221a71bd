// Package xoauth2 logs in with an OAuth token, as Google and Microsoft want it.
package xoauth2

import (
	"context"

	"github.com/emersion/go-sasl"
	"golang.org/x/oauth2"
)

// Auth is a Config.Auth. It takes a token for each connection, so that one that has
// expired is replaced.
func Auth(user string, tokens oauth2.TokenSource) func(context.Context) (sasl.Client, error) {
	return func(context.Context) (sasl.Client, error) {
		t, err := tokens.Token()
		if err != nil {
			return nil, err
		}
		return client{user: user, token: t.AccessToken}, nil
	}
}

type client struct{ user, token string }

func (c client) Start() (mech string, initial []byte, err error) {
	return "XOAUTH2", []byte("user=" + c.user + "\x01auth=Bearer " + c.token + "\x01\x01"), nil
}

// Next answers the reason for a refusal, after which the server says 535.
func (c client) Next([]byte) ([]byte, error) { return []byte{}, nil }
