package main

import (
	"crypto/tls"
	"fmt"

	"github.com/emersion/go-sasl"
)

// login logs in and sends a message. The server knows me with the password
// right.
func login(c *client, a sasl.Client) error {
	defer c.Close()
	if ok, mechs := c.Extension("AUTH"); ok {
		fmt.Println("AUTH", mechs)
	}
	show("Auth", c.Auth(a))
	show("message", write(c, letter, "a@example.net"))
	tell("SendMail", c.SendMail(me, []string{"b@example.net"}, newLetter()))
	return c.Quit()
}

func authPlain(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	return login(c, sasl.NewPlainClient("", "me", "right"))
}

func authLogin(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	return login(c, sasl.NewLoginClient("me", "right"))
}

func authBearer(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	return login(c, sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: "me", Token: "right"}))
}

// authTwice finds its first password refused.
func authTwice(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	show("first", c.Auth(sasl.NewPlainClient("", "me", "wrong")))
	return login(c, sasl.NewPlainClient("", "me", "right"))
}

// authNot asks for what the server does not offer.
func authNot(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println(c.SupportsAuth("ANONYMOUS"), c.SupportsAuth("plain"))
	show("SendMail", c.Mail(me, nil)) // not without AUTH
	return c.Quit()
}

// encrypted shows what a program can learn of TLS.
func encrypted(c *client) error {
	if err := c.Noop(); err != nil {
		return err
	}
	state, ok := c.TLSConnectionState()
	fmt.Println(ok, state.HandshakeComplete, tls.VersionName(state.Version), state.ServerName)
	if ok {
		fmt.Println(state.PeerCertificates[0].Subject)
	}
	return login(c, sasl.NewPlainClient("", "me", "right"))
}

func startTLS(addr string) error {
	c, err := dialStartTLS(addr, nil)
	if err != nil {
		return err
	}
	return encrypted(c)
}

func startTLSNamed(addr string) error {
	c, err := dialStartTLS(addr, &tls.Config{ServerName: "mx.example.test", MinVersion: tls.VersionTLS12})
	if err != nil {
		return err
	}
	return encrypted(c)
}

func implicitTLS(addr string) error {
	c, err := dialTLS(addr, nil)
	if err != nil {
		return err
	}
	return encrypted(c)
}

// oneShot is the package's function, as is oneShotTLS.
func oneShot(addr string) error {
	return sendMail(addr, sasl.NewPlainClient("", "me", "right"), me, []string{"a@example.net", "b@example.net"}, newLetter())
}

func oneShotTLS(addr string) error {
	return sendMailTLS(addr, sasl.NewPlainClient("", "me", "right"), me, []string{"a@example.net"}, newLetter())
}
