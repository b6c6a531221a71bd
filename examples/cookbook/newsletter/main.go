// Newsletter sends one message to each address of a file, at a rate, and goes on where
// it was when it is started again.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/smtpretry/smtpretry"
)

const host = "smtp.example.com"

var server = &smtpretry.Dialer{Addr: host + ":587"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, ".")
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// run works in a folder with addresses.txt. It writes settled.txt there, who has got it
// and who never will, and limits.json, what was spent and learned.
func run(ctx context.Context, dir string) (err error) {
	to, err := open(dir)
	if err != nil {
		return err
	}
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	err = limiter.SetLimit(host, smtpretry.Limit{
		Rate:   smtpretry.PerSecond(10),
		Quotas: []smtpretry.Quota{{N: 5000, Per: 24 * time.Hour}},
	})
	if err != nil {
		return err
	}
	if err := load(limiter, filepath.Join(dir, "limits.json")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, save(limiter, filepath.Join(dir, "limits.json"))) }()
	client, err := smtpretry.New(smtpretry.Config{
		Dialer: server,
		Auth: func(context.Context) (sasl.Client, error) {
			return sasl.NewPlainClient("", os.Getenv("SMTP_USER"), os.Getenv("SMTP_PASSWORD")), nil
		},
		Limiter:  limiter,
		MaxConns: 4,
		Policy:   smtpretry.Policy{MaxElapsed: 48 * time.Hour},
	})
	if err != nil {
		return err
	}
	defer client.Quit() // before the limits are saved

	settled, err := os.OpenFile(filepath.Join(dir, "settled.txt"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer settled.Close()
	next := make(chan string)
	var workers sync.WaitGroup
	for range 20 {
		workers.Go(func() {
			for address := range next {
				res, err := client.Send(ctx, issue(address))
				if res == nil { // a faulty address
					fmt.Fprintln(settled, address, "rejected", err)
					continue
				}
				// Accepted, rejected or in doubt; who is deferred gets it at the next start.
				if r := res.Recipients[0]; r.State != smtpretry.Deferred {
					fmt.Fprintln(settled, address, r.State, r.Verdict)
				}
			}
		})
	}
	for _, address := range to {
		select {
		case next <- address:
		case <-ctx.Done():
		}
	}
	close(next)
	workers.Wait()
	return ctx.Err()
}

func issue(address string) *smtpretry.Message {
	text := "From: News <news@example.com>\r\nTo: " + address + "\r\nSubject: News in May\r\n" +
		"List-Unsubscribe: <https://example.com/unsubscribe?a=" + address + ">\r\n" +
		"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nNews.\r\n"
	return &smtpretry.Message{
		From: "news@example.com",
		To:   []string{address},
		Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
	}
}

// open reads the addresses that are not settled yet.
func open(dir string) (to []string, err error) {
	settled := make(map[string]bool)
	if err := lines(filepath.Join(dir, "settled.txt"), func(line string) {
		address, _, _ := strings.Cut(line, " ")
		settled[address] = true
	}); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	err = lines(filepath.Join(dir, "addresses.txt"), func(address string) {
		if !settled[address] {
			to = append(to, address)
		}
	})
	return to, err
}

func lines(file string, do func(string)) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		do(s.Text())
	}
	return s.Err()
}

func load(l *smtpretry.Limiter, file string) error {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil // the first start
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return l.Load(f)
}

func save(l *smtpretry.Limiter, file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(l.Save(f), f.Close())
}
