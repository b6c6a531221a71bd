package main

import (
	"bytes"
	"testing"
	"testing/synctest"

	"github.com/smtpretry/smtpretry/examples/internal/exampletest"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

func TestWrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		err := compare(&out, func(cfg testserver.Config, _ string) (*testserver.Server, error) {
			return testserver.Start(t, cfg), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		exampletest.Lines(t, out.String(),
			`^--- before`,
			`^sent letter 2`,
			`^failed: letter 3: .*421`,
			`^2 of 5 letters arrived`,
			`^--- after`,
			`^sent letter 2`,
			`mx\.example\.test +mail +temporary connection-limit \(connection\) +at once +421 `,
			`^sent letter 3`,
			`mx\.example\.test +dot +temporary overload .* in \d.* 451 4\.3\.0`,
			`^sent letter 5`,
			`^5 of 5 letters arrived`,
		)
	})
}
