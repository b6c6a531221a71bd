package pgstore_test

import (
	"context"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/store/pgstore"
)

// Every process does this; together they send 14 messages per second.
func Example() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	store, err := pgstore.New(ctx, pool, pgstore.Options{Account: "newsletter"})
	if err != nil {
		panic(err)
	}

	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	if err := limiter.SetLimit("smtp.example.com", smtpretry.Limit{Rate: smtpretry.PerSecond(14)}); err != nil {
		panic(err)
	}
	if err := limiter.Share(store, smtpretry.ShareOptions{}); err != nil {
		panic(err)
	}
	client, err := smtpretry.New(smtpretry.Config{
		Host:    "smtp.example.com",
		Dialer:  &smtpretry.Dialer{Addr: "smtp.example.com:587"},
		Limiter: limiter,
	})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	fmt.Println(limiter.Explain("smtp.example.com").Shared) // until the first message, "has not been asked yet"
}
