package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/queue"
)

// TestCommands calls each command on a queue that another part of the program has
// open.
func TestCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "queue.db")
	q, err := queue.Open(t.Context(), queue.Config{Database: file, Route: func(_, to string) string { return to[strings.Index(to, "@")+1:] }})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	var ids []string
	for _, to := range []string{"a@one.example", "b@one.example", "c@two.example"} {
		r, err := q.Enqueue(t.Context(), &smtpretry.Message{From: "me@example.org", To: []string{to},
			Body: func() (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader("Subject: x\r\n\r\nhello\r\n")), nil
			}}, queue.Options{At: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, fmt.Sprint(r.ID))
	}
	for _, c := range []struct {
		args string
		code int
		out  string // is in stdout
		errs string // is in stderr
	}{
		{"", exitUsage, "", "usage:"},
		{"-h", exitOK, "", "usage:"},
		{"frobnicate", exitUsage, "", "no command"},
		{"count", exitOK, "one.example  waiting  -      2", ""},
		{"-json count", exitOK, `{"host":"one.example","state":"waiting","n":2,`, ""},
		{"list", exitOK, "c@two.example", ""},
		{"list -host two.example", exitOK, "two.example  <me@example.org>  c@two.example", ""},
		{"list -host three.example", exitNothing, "", "nothing fits"},
		{"list -state gone", exitUsage, "", `no state is called "gone"`},
		{"list x", exitUsage, "", "no entry's number"},
		{"show " + ids[0], exitOK, "To   <a@one.example>: deferred", ""},
		{"-json show " + ids[0], exitOK, `"address":"a@one.example","state":"deferred"`, ""},
		{"show 999", exitNothing, "", "no such entry: 999"},
		{"body " + ids[0], exitOK, "Subject: x\r\n\r\nhello\r\n", ""},
		{"retry", exitUsage, "", "retry what?"},
		{"retry " + ids[0], exitOK, "1 due now", ""},
		{"retry -host three.example", exitNothing, "0 due now", "nothing fits"},
		{"hold", exitUsage, "", "hold takes destinations"},
		{"hold -for 2h -reason slow one.example", exitOK, "", ""},
		{"holds", exitOK, "slow", ""},
		{"count", exitOK, "waiting (held)", ""},
		{"release one.example", exitOK, "", ""},
		{"release one.example", exitNothing, "", "one.example is not held"},
		{"drop -all -host one.example", exitUsage, "", "-all and a filter"},
		{"drop -host one.example", exitOK, "2 dropped", ""},
		{"-json drop -all", exitOK, `{"command":"drop","entries":1}`, ""},
		{"list -state dropped", exitOK, "dropped  two.example", ""},
	} {
		var out, errs bytes.Buffer
		args := append([]string{"-db", file}, strings.Fields(c.args)...)
		if code := run(t.Context(), args, &out, &errs); code != c.code || !strings.Contains(out.String(), c.out) || !strings.Contains(errs.String(), c.errs) {
			t.Errorf("%s: ended with %d, want %d\n%s%s", c.args, code, c.code, out.String(), errs.String())
		}
		if strings.HasPrefix(c.args, "-json") && !json.Valid(bytes.SplitN(out.Bytes(), []byte("\n"), 2)[0]) {
			t.Errorf("%s: no JSON: %s", c.args, out.String())
		}
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"-db", file + ".none", "count"}, &out, &errs); code != exitError || !strings.Contains(errs.String(), "no such file") {
		t.Errorf("no file: ended with %d: %s", code, errs.String())
	}
}
