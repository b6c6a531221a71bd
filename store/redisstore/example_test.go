package redisstore_test

import (
	"cmp"
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/store/redisstore"
)

// Every process does this; together they send 14 messages per second.
func Example() {
	options, err := redis.ParseURL(cmp.Or(os.Getenv("REDIS_URL"), "redis://localhost:6379"))
	if err != nil {
		panic(err)
	}
	rdb := redis.NewClient(options)
	defer rdb.Close()
	store := redisstore.New(rdb, redisstore.Options{Account: "newsletter"})

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
