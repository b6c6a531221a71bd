package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/server"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
	"github.com/smtpretry/smtpretry/queue"
)

// An outlet is where messages go: a server, or a queue.
type outlet struct {
	send    func(context.Context, *smtpretry.Message) (sent, error)
	close   func()
	workers int // how many messages it may be given at once
}

// A sent is what became of a message: Result from a server, or Receipt from a queue.
type sent struct {
	result  *smtpretry.Result
	receipt *queue.Receipt
}

// outlet opens where messages go.
func (s *sender) outlet(ctx context.Context) (*outlet, error) {
	url, db := s.server, s.queue
	fromEnv := false
	if url == "" && db == "" {
		if url, fromEnv = s.Getenv(envServer), true; url == "" {
			db = s.Getenv(envQueue)
		}
	}
	switch {
	case s.server != "" && s.queue != "":
		return nil, ui.Failf(ui.Usage, "--server and --queue: only one can take the mail")
	case url == "" && db == "":
		return nil, ui.Failf(ui.Usage, "no server: give --server, or set %s", envServer)
	case db != "":
		return openQueue(ctx, db)
	}
	srv, err := server.Parse(url)
	switch {
	case err != nil && fromEnv:
		return nil, ui.Failf(ui.Config, "%s: %w", envServer, err)
	case err != nil:
		return nil, ui.Fail(ui.Usage, err)
	case srv.Password != "" && !fromEnv:
		return nil, ui.Fail(ui.Usage, server.ErrPassword)
	}
	return s.client(srv)
}

// client makes the client for a server.
func (s *sender) client(srv *server.Server) (*outlet, error) {
	cfg := smtpretry.Config{Dialer: srv.Dialer, MaxConns: s.conns, Limiter: smtpretry.NewLimiter(smtpretry.Limit{})}
	var err error
	if cfg.Policy, err = s.retryPolicy(); err != nil {
		return nil, err
	}
	if s.conns < 1 {
		return nil, ui.Failf(ui.Usage, "--conns is %d, want 1 or more", s.conns)
	}
	if s.rate != "" {
		var lim smtpretry.Limit
		if err := lim.Rate.UnmarshalText([]byte(s.rate)); err != nil {
			return nil, ui.Fail(ui.Usage, err)
		}
		if err := cfg.Limiter.SetLimit(srv.Host(), lim); err != nil {
			return nil, ui.Fail(ui.Usage, err)
		}
	}
	if s.ca != "" {
		roots, err := server.Roots(s.ca)
		if err != nil {
			return nil, ui.Fail(ui.NoInput, err)
		}
		srv.Dialer.TLSConfig = &tls.Config{RootCAs: roots}
	}
	if srv.User != "" {
		password, err := s.password(srv)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(server.Mechanisms, s.auth) {
			return nil, ui.Failf(ui.Usage, "the login's mechanism is %q, want one of %s", s.auth, strings.Join(server.Mechanisms, ", "))
		}
		cfg.Auth = func(context.Context) (sasl.Client, error) {
			return server.Login(s.auth, srv.User, password, srv.Host()), nil
		}
	}
	c, err := smtpretry.New(cfg)
	if err != nil {
		return nil, ui.Fail(ui.Usage, err)
	}
	return &outlet{
		send: func(ctx context.Context, m *smtpretry.Message) (sent, error) {
			res, err := c.Send(ctx, m)
			return sent{result: res}, err
		},
		close:   func() { _ = c.Quit() }, // the messages' fates are known
		workers: s.conns,
	}, nil
}

func (s *sender) retryPolicy() (smtpretry.Policy, error) {
	var p smtpretry.Policy
	found := s.policy == "once"
	if found {
		p.MaxAttempts = 1
	}
	for _, preset := range presets {
		if preset.name == s.policy {
			p, found = preset.policy, true
		}
	}
	switch {
	case !found:
		return p, ui.Failf(ui.Usage, "--policy is %q, want one of %s", s.policy, strings.Join(policyWords(), ", "))
	case s.giveUp < 0:
		return p, ui.Failf(ui.Usage, "--for is negative")
	case s.giveUp > 0:
		p.MaxElapsed = s.giveUp
	}
	return p, nil
}

// storedPassword looks for a password where others cannot see it: in the
// environment, or else the first line of a file. Empty: there is neither.
func storedPassword(u *ui.UI, file string) (string, error) {
	if p := u.Getenv(envPassword); p != "" {
		return p, nil
	}
	if file = cmp.Or(file, u.Getenv(envPasswordFile)); file == "" {
		return "", nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", ui.Fail(ui.NoInput, err)
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", ui.Failf(ui.Config, "%s: its first line is empty", file)
	}
	return line, nil
}

// password is the one that is stored, in the server's URL, or asked for.
func (s *sender) password(srv *server.Server) (string, error) {
	p, err := storedPassword(s.UI, s.passwordFile)
	switch {
	case err != nil || p != "":
		return p, err
	case srv.Password != "":
		return srv.Password, nil
	case !ui.IsTerminal(s.In) || s.sendmail || s.files[0] == "-":
		return "", ui.Failf(ui.Config, "no password for %s: set %s, or give --password-file", srv.User, envPassword)
	}
	return s.AskPassword(srv.User + " at " + srv.Host())
}

// openQueue opens a queue to put messages into. It is made if it is missing; one
// that exists may be open in the process that delivers from it.
func openQueue(ctx context.Context, db string) (*outlet, error) {
	cfg := queue.Config{Database: db}
	q, err := queue.Attach(ctx, cfg)
	if errors.Is(err, fs.ErrNotExist) {
		q, err = queue.Open(ctx, cfg)
	}
	var faulty *queue.ConfigError
	switch {
	case errors.As(err, &faulty):
		return nil, ui.Fail(ui.Usage, err)
	case err != nil:
		return nil, ui.Failf(ui.TempFail, "the queue cannot be opened: %w", err)
	}
	return &outlet{
		send: func(ctx context.Context, m *smtpretry.Message) (sent, error) {
			got, err := q.Enqueue(ctx, m, queue.Options{})
			return sent{receipt: &got}, err
		},
		close:   func() { _ = q.Close() },
		workers: 16, // which share a transaction
	}, nil
}
