package smtpretry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/smtpretry/smtpretry"
)

// One Limiter for all clients of a program keeps them to the limits together.
func ExampleNewLimiter() {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{MaxConns: 10}) // for hosts without a limit of their own
	err := limiter.SetLimit("mail.example.org", smtpretry.Limit{
		Rate:     smtpretry.PerSecond(14),
		Burst:    5,
		Quotas:   []smtpretry.Quota{{N: 50000, Per: 24 * time.Hour}},
		MaxConns: 5,
	})
	if err != nil {
		panic(err)
	}

	dialer, stop := exampleServer()
	defer stop()
	client, err := smtpretry.New(smtpretry.Config{Dialer: dialer, Limiter: limiter, MaxConns: 5})
	if err != nil {
		panic(err)
	}
	defer client.Quit()
	err = client.SendMail("me@example.org", []string{"you@example.net"}, strings.NewReader(greeting))
	fmt.Println("error:", err)
	// Output: error: <nil>
}

func ExampleLimiter_Explain() {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{MaxConns: 10})
	if err := limiter.SetLimit("mail.example.org", smtpretry.Limit{Rate: smtpretry.PerMinute(100), Burst: 5}); err != nil {
		panic(err)
	}
	fmt.Print(limiter.Explain("mail.example.org"))
	fmt.Print(limiter.Explain("mail.example.net"))
	// Output:
	// mail.example.org: a message may start now.
	// Waiting: 0. Connections: 0 open, 0 of them idle. Tokens: 5.0.
	// Rate 100/min: set by SetLimit.
	// Burst 5: set by SetLimit.
	// mail.example.net: a message may start now.
	// Waiting: 0. Connections: 0 open, 0 of them idle. Tokens: 3.0.
	// Rate 2/s: learned (nothing was refused so far, and it climbs).
	// Burst 3: learned (nothing was refused so far, and it climbs).
	// MaxConns 10: the limiter's default.
}

// A limit can be changed while messages are sent, and while they wait for it.
func ExampleLimiter_SetLimit() {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})

	// A relay of one's own: no limit, and no gentle start.
	if err := limiter.SetLimit("relay.example.org", smtpretry.Limit{}); err != nil {
		panic(err)
	}
	// A provider's host, by what the account may do.
	if err := limiter.SetLimit("smtp.example.com", smtpretry.Limit{Rate: smtpretry.PerSecond(14), Burst: 14}); err != nil {
		panic(err)
	}
	fmt.Print(limiter.Explain("relay.example.org"))
	fmt.Println(limiter.SetLimit("smtp.example.com", smtpretry.Limit{MaxConns: -1}))
	// Output:
	// relay.example.org: a message may start now.
	// Waiting: 0. Connections: 0 open, 0 of them idle.
	// No limit is set, and none is known for this host.
	// smtpretry: Limit.MaxConns is negative (-1)
}

func ExampleLimit_Validate() {
	err := smtpretry.Limit{Rate: -1, Quotas: []smtpretry.Quota{{N: 0, Per: time.Hour}}}.Validate()
	fmt.Println(err)
	var first *smtpretry.InvalidLimitError
	if errors.As(err, &first) {
		fmt.Println(first.Field)
	}
	// Output:
	// smtpretry: Limit.Rate is negative
	// smtpretry: Limit.Quotas[0].N is 0, want at least 1
	// Rate
}

// A rate is written, and read in JSON and in flags, in the unit in which it was
// given.
func ExampleRate() {
	fmt.Println(smtpretry.PerSecond(14), smtpretry.PerMinute(30), smtpretry.PerHour(500), smtpretry.PerDay(2000))
	var r smtpretry.Rate
	err := r.UnmarshalText([]byte("2.5/min"))
	fmt.Println(float64(r)*60, err)
	// Output:
	// 14/s 30/min 500/h 2000/day
	// 2.5 <nil>
}

// Which limits hold for a host that smtpretry knows, and where they come from.
func ExampleExplanation() {
	e := smtpretry.NewLimiter(smtpretry.Limit{}).Explain("smtp.office365.com")
	published := func(o smtpretry.Origin) bool { return strings.HasPrefix(o.From, smtpretry.OriginKnown) }
	for _, o := range e.Origins {
		if published(o) {
			fmt.Println(o.Field, o.Value)
		}
	}
	fmt.Println("a message may start now:", e.Binding == "")
	// Output:
	// Quotas 30 per 1m
	// RecipientQuotas 10000 per 24h
	// MaxConns 3
	// PerMessage 500
	// a message may start now: true
}

// An overview of all hosts.
func ExampleLimiter_Hosts() {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	for _, host := range []string{"relay.example.org", "smtp.example.com"} {
		if err := limiter.SetLimit(host, smtpretry.Limit{Rate: smtpretry.PerSecond(14)}); err != nil {
			panic(err)
		}
	}
	for _, host := range limiter.Hosts() {
		e := limiter.Explain(host)
		fmt.Println(host, "waiting:", e.Waiting, "a message may start:", e.Binding == "")
	}
	// Output:
	// relay.example.org waiting: 0 a message may start: true
	// smtp.example.com waiting: 0 a message may start: true
}

// What was spent of a quota, and what was learned, outlives the process.
func ExampleLimiter_Save() {
	dialer, stop := exampleServer()
	defer stop()
	quota := smtpretry.Limit{Quotas: []smtpretry.Quota{{N: 1, Per: 24 * time.Hour}}}
	limiter := smtpretry.NewLimiter(quota)
	client, err := smtpretry.New(smtpretry.Config{Dialer: dialer, Limiter: limiter})
	if err != nil {
		panic(err)
	}
	if err := client.SendMail("me@example.org", []string{"you@example.net"}, strings.NewReader(greeting)); err != nil {
		panic(err)
	}
	client.Quit() // all clients are closed before

	var file bytes.Buffer // stands for a file
	if err := limiter.Save(&file); err != nil {
		panic(err)
	}

	afterwards := smtpretry.NewLimiter(quota)
	if err := afterwards.Load(&file); err != nil {
		panic(err)
	}
	fmt.Println("binds:", afterwards.Explain("mail.example.org").Binding)
	// Output: binds: quota
}

// A file of another origin is an error and changes nothing.
func ExampleLimiter_Load() {
	limiter := smtpretry.NewLimiter(smtpretry.Limit{})
	err := limiter.Load(strings.NewReader("no JSON"))
	fmt.Println(err != nil)
	// Output: true
}

// A store keeps one value for each host, and changes it in one step. This one is
// for tests; the modules store/pgstore and store/redisstore have real ones.
type exampleStore struct {
	mu   sync.Mutex
	kept map[string][]byte
}

func (s *exampleStore) Update(_ context.Context, key string, change func([]byte, time.Time) ([]byte, time.Duration, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, _, err := change(s.kept[key], time.Now())
	if err == nil {
		s.kept[key] = next
	}
	return err
}

// Two processes that share a quota of one message.
func ExampleLimiter_Share() {
	dialer, stop := exampleServer()
	defer stop()
	var store smtpretry.Store = &exampleStore{kept: make(map[string][]byte)}

	for _, process := range []string{"a", "b"} {
		limiter := smtpretry.NewLimiter(smtpretry.Limit{Quotas: []smtpretry.Quota{{N: 1, Per: time.Hour}}})
		if err := limiter.Share(store, smtpretry.ShareOptions{}); err != nil {
			panic(err)
		}
		client, err := smtpretry.New(smtpretry.Config{Dialer: dialer, Limiter: limiter})
		if err != nil {
			panic(err)
		}
		defer client.Quit()
		_, err = client.Try(context.Background(), &smtpretry.Message{
			From: "me@example.org",
			To:   []string{"you@example.net"},
			Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(greeting)), nil },
		})
		var limited *smtpretry.LimitError
		if errors.As(err, &limited) {
			fmt.Println(process, "waits for:", limited.For)
		} else {
			fmt.Println(process, "error:", err)
		}
	}
	// Output:
	// a error: <nil>
	// b waits for: quota
}
