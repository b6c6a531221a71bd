// Package stand puts a server in a provider's place, for the tests of the recipes.
package stand

import (
	"testing"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// In starts a server in memory and has d connect to it, whatever address it names.
func In(t *testing.T, d *smtpretry.Dialer, cfg testserver.Config) *testserver.Server {
	t.Helper()
	srv := testserver.Start(t, cfg)
	d.NetDial, d.TLSConfig = srv.Dial, srv.TLSConfig()
	return srv
}
