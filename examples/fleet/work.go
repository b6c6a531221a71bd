package main

import (
	"context"
	"io"
	"math"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/examples/internal/load"
	"github.com/smtpretry/smtpretry/store/pgstore"
)

// work is one process of the fleet: it sends as much as all of them together may,
// and leaves it to the limiter that they do not.
func work(ctx context.Context, database, server, name string) error {
	pool, err := pgxpool.New(ctx, database)
	if err != nil {
		return err
	}
	defer pool.Close()
	store, err := pgstore.New(ctx, pool, pgstore.Options{Table: "smtpretry_example_fleet"})
	if err != nil {
		return err
	}
	limiter := smtpretry.NewLimiter(smtpretry.Limit{Rate: smtpretry.PerSecond(perSecond)})
	if err := limiter.Share(store, smtpretry.ShareOptions{}); err != nil {
		return err
	}
	client, err := smtpretry.New(smtpretry.Config{
		Dialer:   &smtpretry.Dialer{Addr: server, LocalName: "client.example.org"},
		Limiter:  limiter,
		MaxConns: 2,
	})
	if err != nil {
		return err
	}
	defer client.Close()
	load.Deliver(ctx, math.MaxInt, func(ctx context.Context, _ int) error {
		_, err := client.Send(ctx, &smtpretry.Message{
			From: name + "@fleet.example.org",
			To:   []string{"reader@example.net"},
			Body: func() (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader("Subject: from process " + name + "\r\n\r\nHello\r\n")), nil
			},
		})
		return err
	})
	return nil
}
