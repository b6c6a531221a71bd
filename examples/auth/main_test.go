package main

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smtpretry/smtpretry/examples/internal/exampletest"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

func TestAuth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := testserver.Start(t, strict())
		var out bytes.Buffer
		start := time.Now()
		if err := run(t.Context(), &out, srv); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v, want no wait", took)
		}
		exampletest.Lines(t, out.String(),
			`auth +permanent auth \(account\) +none +535 5\.7\.8 `,
			`^letter 1: not sent`,
			`has seen 1 failed logins`,
			`^letter 2: not sent`,
			`has seen 1 failed logins`,
			`^letter 3: not sent`,
			`has seen 1 failed logins`,
			`password has been changed`,
			`dot +accepted`,
			`^letter 4: sent`,
		)
		held := srv.Messages()
		if len(held) != 1 || held[0].User != "newsletter" || !held[0].TLS {
			t.Errorf("the server holds %+v, want letter 4 from the user newsletter over TLS", held)
		}
		if st := srv.Stats(); st.Conns != 2 {
			t.Errorf("%d connections, want 2: none while the account is held", st.Conns)
		}
	})
}
