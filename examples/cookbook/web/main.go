// Web sends a sign-up mail while the user waits for the page, and says what became
// of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
)

var server = &smtpretry.Dialer{Addr: "smtp.example.com:587"}

func main() {
	client, err := newClient()
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("POST /signup", signup(client))
	log.Fatal(http.ListenAndServe("localhost:8080", nil))
}

func newClient() (*smtpretry.Client, error) {
	return smtpretry.New(smtpretry.Config{
		Dialer: server,
		Auth: func(context.Context) (sasl.Client, error) {
			return sasl.NewPlainClient("", os.Getenv("SMTP_USER"), os.Getenv("SMTP_PASSWORD")), nil
		},
		Policy:   smtpretry.InteractivePolicy(), // waits of seconds, not minutes
		MaxConns: 4,
	})
}

func signup(client *smtpretry.Client) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// It ends when the user goes away, and before a proxy gives up.
		ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
		defer cancel()
		address := r.FormValue("email")
		text := "From: Example <signup@example.com>\r\nTo: " + address + "\r\nSubject: Confirm your address\r\n\r\nhttps://example.com/confirm?…\r\n"
		res, err := client.Send(ctx, &smtpretry.Message{
			From: "signup@example.com",
			To:   []string{address},
			Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
		})
		status, words, again := answer(res, err)
		if again > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(again.Seconds())))
		}
		w.WriteHeader(status)
		fmt.Fprintln(w, words)
	}
}

// answer says what to tell the user. The server's words are for the log.
func answer(res *smtpretry.Result, err error) (status int, words string, again time.Duration) {
	if err == nil {
		return http.StatusOK, "Look into your mailbox.", 0
	}
	log.Print(err)
	var faulty *smtpretry.FieldError
	switch {
	case errors.As(err, &faulty):
		return http.StatusUnprocessableEntity, "This is no mail address.", 0
	case errors.Is(err, smtpretry.ErrInDoubt):
		return http.StatusOK, "Look into your mailbox. If nothing comes in a few minutes, sign up again.", 0
	case errors.Is(err, smtpretry.ErrRejected) && res.Recipients[0].Verdict.Scope == smtpretry.ScopeRecipient:
		return http.StatusUnprocessableEntity, "This address takes no mail. Is it written correctly?", 0
	}
	// Not the user's fault: busy, a limit, greylisting, our own login.
	again = max(res.Recipients[0].Verdict.RetryAfter, time.Minute)
	var limited *smtpretry.LimitError
	if errors.As(err, &limited) {
		again = max(time.Until(limited.Until), time.Minute)
	}
	return http.StatusServiceUnavailable, "We cannot send mail to you at the moment. Please try again later.", again
}
