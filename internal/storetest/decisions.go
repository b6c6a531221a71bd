package storetest

import (
	"context"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// Decisions measures how many messages eight processes (limiters of their own in
// one) can start in a second that share one host without a limit that binds. Each
// takes one decision, and is told of twice.
func Decisions(b *testing.B, open func(testing.TB) smtpretry.Store) {
	srv, err := testserver.Listen(testserver.Config{Bodies: testserver.KeepSize}, "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer srv.Close()
	const processes = 8
	var clients []*smtpretry.Client
	var updates atomic.Int64
	for range processes {
		l := smtpretry.NewLimiter(smtpretry.Limit{})
		if err := l.SetLimit(host(srv.Addr()), smtpretry.Limit{Rate: smtpretry.PerSecond(1e6), Burst: 1000}); err != nil {
			b.Fatal(err)
		}
		if err := l.Share(counted{open(b), &updates}, smtpretry.ShareOptions{}); err != nil {
			b.Fatal(err)
		}
		c, err := smtpretry.New(smtpretry.Config{Dialer: &smtpretry.Dialer{Addr: srv.Addr()}, Limiter: l, MaxConns: 4})
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	var sent atomic.Int64
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range 4 * processes {
		wg.Go(func() {
			for sent.Add(1) <= int64(b.N) {
				_, err := clients[i%processes].Send(context.Background(), &smtpretry.Message{From: "from@example.com", To: []string{"to@example.com"},
					Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("Subject: x\r\n\r\nx\r\n")), nil }})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(updates.Load())/b.Elapsed().Seconds(), "decisions/s")
}

type counted struct {
	smtpretry.Store
	n *atomic.Int64
}

func (c counted) Update(ctx context.Context, key string, change func([]byte, time.Time) ([]byte, time.Duration, error)) error {
	c.n.Add(1)
	return c.Store.Update(ctx, key, change)
}
