package smtpretry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// TestQuotaLearned: a quota is run into once. From then on it is kept, after
// a restart too.
func TestQuotaLearned(t *testing.T) {
	const quota, messages = 50, 260
	for _, fixed := range []bool{false, true} {
		t.Run(fmt.Sprintf("fixed %v", fixed), func(t *testing.T) {
			limits := testserver.Limits{Quota: testserver.Quota{N: quota, Per: 20 * time.Minute, Fixed: fixed}}
			bubble(t, testserver.Config{Limits: limits}, func(t *testing.T, srv *testserver.Server) {
				c, l := stranger(t, srv, 1)
				start := time.Now()
				sendAll(t, c, messages)
				// Five windows are full before the last ten go.
				if took := time.Since(start); took < 80*time.Minute || took > 110*time.Minute {
					t.Errorf("it took %v", took)
				}
				if n := srv.Stats().Violations; n != 1 {
					t.Errorf("%d violations, want the one from which it was learned", n)
				}
				e := l.Explain(srv.Addr())
				if len(e.Limit.Quotas) != 1 || e.Limit.Quotas[0].N != quota {
					t.Errorf("learned %v", e.Limit.Quotas)
				}
				said := false
				for _, o := range e.Origins {
					said = said || o.Field == "Quotas" && o.From == smtpretry.OriginLearned && strings.Contains(o.Source, "took no more")
				}
				if !said {
					t.Errorf("no origin for the quota:\n%v", e)
				}
				c.Close()
				if again := restarted(t, l, nil).Explain(srv.Addr()); len(again.Limit.Quotas) != 1 || again.Limit.Quotas[0] != e.Limit.Quotas[0] {
					t.Errorf("after a restart %v, want %v", again.Limit.Quotas, e.Limit.Quotas)
				}
			})
		})
	}
}

// TestPaceIsUsed: of a rate that was learned, no round trip is lost, however
// long it takes.
func TestPaceIsUsed(t *testing.T) {
	limits := testserver.Limits{Rate: testserver.Rate{N: 20, Per: time.Second, Burst: 20}}
	bubble(t, testserver.Config{Limits: limits}, func(t *testing.T, srv *testserver.Server) {
		srv.Network().SetDelay(50 * time.Millisecond)
		c, _ := stranger(t, srv, 20)
		sendAll(t, c, 1000)
		start := time.Now()
		sendAll(t, c, 1000)
		if took := time.Since(start); took > 55*time.Second {
			t.Errorf("1,000 messages at 20 a second took %v", took)
		}
	})
}

// TestRestIsNoPace: a time with nothing to send, between two refusals, is not
// taken for a slow limit.
func TestRestIsNoPace(t *testing.T) {
	limits := testserver.Limits{Rate: testserver.Rate{N: 10, Per: time.Second, Burst: 20}}
	bubble(t, testserver.Config{Limits: limits}, func(t *testing.T, srv *testserver.Server) {
		c, _ := stranger(t, srv, 5)
		for n := 0; srv.Stats().Violations < 1; n++ {
			if n == 100 {
				t.Fatal("10 messages a second are never refused")
			}
			sendAll(t, c, 10)
		}
		for range 3 {
			time.Sleep(2 * time.Minute)
			sendAll(t, c, 60)
		}
		start := time.Now()
		sendAll(t, c, 300)
		if took := time.Since(start); took > time.Minute {
			t.Errorf("300 messages at 10 a second took %v", took)
		}
	})
}
