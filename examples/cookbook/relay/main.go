// Relay sends through a Postfix of one's own, as fast as that takes it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"
	"sync"

	"github.com/smtpretry/smtpretry"
)

var server = &smtpretry.Dialer{Addr: "localhost:25"} // elsewhere than here: STARTTLS, required

func main() {
	if err := run(context.Background(), 1000); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, n int) error {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	// No limit, and no gentle start: there is nothing to find out.
	if err := limiter.SetLimit("localhost", smtpretry.Limit{}); err != nil {
		return err
	}
	client, err := smtpretry.New(smtpretry.Config{Dialer: server, Limiter: limiter, MaxConns: 10})
	if err != nil {
		return err
	}
	defer client.Quit()

	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			text := fmt.Sprintf("From: app@example.com\r\nTo: ops@example.com\r\nSubject: Report %d\r\n\r\nAll is well.\r\n", i)
			_, errs[i] = client.Send(ctx, &smtpretry.Message{
				From: "app@example.com",
				To:   []string{"ops@example.com"},
				Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
			})
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
