package main

import (
	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/examples/internal/load"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// smtpretrySender tells the library the server's limits, and sends.
func smtpretrySender(srv *testserver.Server) (load.Send, func(), error) {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	err := limiter.SetLimit(load.Host, smtpretry.Limit{
		Rate: smtpretry.PerSecond(rate), Burst: burst, MaxConns: conns,
	})
	if err != nil {
		return nil, nil, err
	}
	return load.Smtpretry(srv, limiter, conns)
}

// strangerSender tells the library nothing, and allows it 20 connections.
func strangerSender(srv *testserver.Server) (load.Send, func(), error) {
	return load.Smtpretry(srv, smtpretry.NewLimiter(smtpretry.Limit{}), 20)
}

// naiveSender tries whatever is temporary again, each message by itself.
func naiveSender(srv *testserver.Server) (load.Send, func(), error) {
	return load.Naive(srv), func() {}, nil
}
