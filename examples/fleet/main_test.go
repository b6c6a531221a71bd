package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry/examples/internal/exampletest"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "work" {
		main() // started by start
		return
	}
	os.Exit(m.Run())
}

func TestFleet(t *testing.T) {
	_, stop, err := openDatabase(t.Context())
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	stop()
	var out bytes.Buffer
	file := filepath.Join(t.TempDir(), "fleet.svg")
	if err := fleet(t.Context(), &out, 6*time.Second, file); err != nil {
		t.Fatal(err)
	}
	exampletest.Lines(t, out.String(),
		`process A begins`, `process B begins`, `process C begins`, `process A is killed`,
		`process A: \d+ messages`, `process B: \d+ messages`, `process C: \d+ messages`,
		`^together: \d+ of 121`,
		`^plot: .*fleet.svg`,
	)
	m := regexp.MustCompile(`at most (\d+) within any second`).FindStringSubmatch(out.String())
	if m == nil {
		t.Fatalf("no line about the fullest second in\n%s", out.String())
	}
	// The second's first and last message, and what was late on its way.
	if most, _ := strconv.Atoi(m[1]); most > perSecond+1+perSecond/4 || most < perSecond/2 {
		t.Errorf("%d messages within a second, want at most %d\n%s", most, perSecond+1, out.String())
	}
	if svg, err := os.ReadFile(file); err != nil || !bytes.Contains(svg, []byte("</svg>")) {
		t.Errorf("the plot: %v", err)
	}
}
