// Fleet is one of several processes that send through one account: they keep to its
// limit together.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/store/redisstore"
)

var server = &smtpretry.Dialer{Addr: "smtp.example.com:587"}

func main() {
	if err := run(context.Background(), os.Getenv("REDIS_URL"), os.Args[1:]); err != nil { // the recipients
		log.Fatal(err)
	}
}

func run(ctx context.Context, redisURL string, to []string) error {
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		return err
	}
	db := redis.NewClient(options)
	defer db.Close()

	limiter := smtpretry.NewLimiter(smtpretry.Limit{Rate: smtpretry.PerSecond(20), MaxConns: 10})
	// When Redis is away each of ten processes goes on with a tenth of everything.
	// With Alone left out, nothing would be sent meanwhile.
	store := redisstore.New(db, redisstore.Options{Account: "newsletter"})
	if err := limiter.Share(store, smtpretry.ShareOptions{Alone: 0.1}); err != nil {
		return err
	}
	client, err := smtpretry.New(smtpretry.Config{Dialer: server, Limiter: limiter, MaxConns: 10})
	if err != nil {
		return err
	}
	defer client.Quit()

	for _, address := range to {
		_, err := client.Send(ctx, &smtpretry.Message{
			From: "news@example.com",
			To:   []string{address},
			Body: func() (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader("From: news@example.com\nTo: " + address + "\nSubject: News\n\nNews.\n")), nil
			},
		})
		if err != nil {
			return err
		}
	}
	return nil
}
