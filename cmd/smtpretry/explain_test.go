package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/maillog"
)

// corpusStages are the words that the corpora have for stages.
var corpusStages = map[string]string{"connect": "greeting", "helo": "hello", "starttls": "tls", "auth": "auth", "mail": "mail",
	"rcpt": "rcpt", "data": "data", "eod": "dot", "any": "unknown"}

// The command says of each reply of the library's corpora what the classifier
// makes of it, and so agrees with their labels where that does.
func TestExplainCorpus(t *testing.T) {
	all, agreed := 0, 0
	for _, name := range []string{"replies.jsonl", "unseen.jsonl"} {
		raw, err := os.ReadFile(filepath.Join("..", "..", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		byStage := map[string][]struct{ Reply, Stage, Class, Cause, Scope string }{}
		for d := json.NewDecoder(bytes.NewReader(raw)); d.More(); {
			var l struct{ Reply, Stage, Class, Cause, Scope string }
			if err := d.Decode(&l); err != nil {
				t.Fatal(err)
			}
			byStage[l.Stage] = append(byStage[l.Stage], l)
		}
		for stage, labelled := range byStage {
			var in strings.Builder
			for _, l := range labelled {
				in.WriteString(l.Reply + "\n")
			}
			got := call(t.Context(), nil, strings.NewReader(in.String()), "explain", "--json", "--stage", corpusStages[stage])
			d := json.NewDecoder(strings.NewReader(got.out))
			for _, l := range labelled {
				var m meaning
				if err := d.Decode(&m); err != nil {
					t.Fatalf("%q at %s: %v", l.Reply, stage, err)
				}
				reply, _ := maillog.ParseReply(l.Reply)
				var at smtpretry.Stage
				if err := at.UnmarshalText([]byte(corpusStages[stage])); err != nil {
					t.Fatal(err)
				}
				want := smtpretry.Classify(reply, at)
				if m.Class != want.Class || m.Cause != want.Cause || m.Scope != want.Scope || m.Stage != want.Stage || m.Code != want.Code ||
					m.Text != want.Text || m.Rule != want.Rule || m.Source != want.Source() || m.Advice != want.Advice() ||
					m.RetryAfter != want.RetryAfter.Seconds() {
					t.Errorf("%q at %s: got %+v, want %+v", l.Reply, stage, m, want)
				}
				all++
				if m.Class.String() == l.Class && m.Cause.String() == l.Cause && m.Scope.String() == l.Scope {
					agreed++
				}
			}
			if d.More() {
				t.Errorf("more was said of stage %s than asked", stage)
			}
		}
	}
	if share := 100 * float64(agreed) / float64(all); all < 1138 || share < 99 {
		t.Errorf("%d of %d replies are explained as they are labelled (%.1f %%), want 99 %% of 1,138", agreed, all, share)
	}
}

func TestExplainReply(t *testing.T) {
	for _, tt := range []struct {
		args []string
		in   string
		code int
		says []string
	}{
		{[]string{"421 4.7.0 Too many connections from your IP"}, "", 75, []string{"temporary: it may be tried again", "connection-limit",
			"this connection", "greeting (a guess", "fewer connections at once", "interactive  1s, 3s, 7s, 15s, 25s, 30s", "queue        40m, 2h, 4h40m", "5 days", "(RFC 5321)"}},
		{[]string{"450 4.2.0 Greylisted, try again in 300 seconds"}, "", 75, []string{"greylist", "the server asks for 5m",
			"interactive  not again: the server asks for a longer wait", "default      5m, 10m, 15m", "RFC 6647"}},
		{[]string{"--stage", "auth", "535 5.7.8 no"}, "", 1, []string{"permanent: never try again unchanged", "everything from this login", "stage      auth\n", "does not help"}},
		{[]string{"SMTP error 452: 4.5.3 too many recipients"}, "", 75, []string{"too-many-recipients", "can go at once"}},
		{[]string{"250 ok"}, "", 0, []string{"a success"}},
		{[]string{"-"}, "450 4.2.2 Mailbox full\n550-5.7.26 This message fails\n550 5.7.26 to pass SPF checks\n", 1, []string{"mailbox-full", "sender-policy"}},
		{[]string{"--format", "replies", "-"}, "noise\n421 4.3.2 Service shutting down\n", 75, []string{"overload"}},
	} {
		got := call(t.Context(), nil, strings.NewReader(tt.in), append([]string{"explain"}, tt.args...)...)
		if got.code != tt.code || got.errs != "" {
			t.Errorf("%q: exit code %d, %q; want %d", tt.args, got.code, got.errs, tt.code)
		}
		for _, s := range tt.says {
			if !strings.Contains(got.out, s) {
				t.Errorf("%q does not say %q:\n%s", tt.args, s, got.out)
			}
		}
		for line := range strings.SplitSeq(got.out, "\n") {
			if len([]rune(line)) > 80 {
				t.Errorf("%q: %d columns in %q", tt.args, len(line), line)
			}
		}
	}
}

func TestExplainTriesJSON(t *testing.T) {
	got := call(t.Context(), nil, nil, "explain", "--json", "421 4.3.2 Service busy")
	var m struct{ Tries map[string][]float64 }
	if err := json.Unmarshal([]byte(got.out), &m); err != nil {
		t.Fatal(err)
	}
	if want := []float64{1, 3, 7, 15, 25, 30}; !slices.Equal(m.Tries["interactive"], want) || len(m.Tries["default"]) != 8 || len(m.Tries["queue"]) < 30 {
		t.Errorf("tries are %v", m.Tries)
	}
}

func TestExplainLog(t *testing.T) {
	got := call(t.Context(), nil, nil, "explain", "testdata/postfix.log", "testdata/exim.log")
	if got.code != 1 || got.errs != "" {
		t.Errorf("exit code %d, %q; want 1", got.code, got.errs)
	}
	for _, s := range []string{"78 accepted", "11 not tried, as the host had refused before", "(exim, postfix)", "the highest bar is",
		"\nmx.busy.example\n", "connection-limit  temporary", "too many connections from 192.0.2.1", "\nmx.closed.example\n", "Connection refused", "the server may have the"} {
		if !strings.Contains(strings.Join(strings.Fields(got.out), " "), strings.Join(strings.Fields(s), " ")) {
			t.Errorf("the summary does not say %q:\n%s", s, got.out)
		}
	}
}

func TestExplainHosts(t *testing.T) {
	few := call(t.Context(), nil, nil, "explain", "--hosts", "2", "testdata/exim.log")
	all := call(t.Context(), nil, nil, "explain", "--hosts", "0", "testdata/exim.log")
	if !strings.Contains(few.out, "\nmx.example.net\n") || strings.Contains(few.out, "\nmx.slow.example\n") || !strings.Contains(few.out, " other hosts; --hosts 0 shows them.") {
		t.Errorf("two hosts are\n%s", few.out)
	}
	if !strings.Contains(all.out, "\nmx.slow.example\n") || strings.Contains(all.out, "--hosts") {
		t.Errorf("all hosts are\n%s", all.out)
	}
}

func TestExplainSVG(t *testing.T) {
	svg := filepath.Join(t.TempDir(), "refusals.svg")
	if got := call(t.Context(), nil, nil, "explain", "--svg", svg, "testdata/exim.log"); got.code != 1 || got.errs != "" {
		t.Errorf("exit code %d, %q; want 1", got.code, got.errs)
	}
	raw, err := os.ReadFile(svg)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(raw)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if bars := bytes.Count(raw, []byte("<title>")); bars < 100 {
		t.Errorf("the SVG has %d bars, want 100 or more", bars)
	}
}

func TestExplainLogJSON(t *testing.T) {
	got := call(t.Context(), nil, nil, "explain", "--json", "testdata/postfix.log")
	var s jsonSummary
	if err := json.Unmarshal([]byte(got.out), &s); err != nil {
		t.Fatal(err)
	}
	if s.Accepted != 71 || s.HeldBack != 4 || s.Formats[maillog.Postfix] != s.Events || s.PutOff+s.Refused+s.Accepted+s.HeldBack != s.Events || s.Timeline == nil {
		t.Errorf("the summary is %+v", s)
	}
	drawn := 0
	for _, counts := range s.Timeline.Counts {
		for _, n := range counts {
			drawn += n
		}
	}
	if drawn != s.PutOff+s.Refused {
		t.Errorf("the timeline counts %d failures, want %d", drawn, s.PutOff+s.Refused)
	}
}

// Interrupted, it sums up what it has read so far.
func TestExplainInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	log, err := os.ReadFile("testdata/exim.log")
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	defer w.Close()
	go func() {
		_, _ = w.Write(log)
		_, _ = w.Write([]byte("more\n")) // taken when all before it is on its way
		interrupt()
	}()
	if got := call(ctx, nil, r, "explain"); got.code != 1 || !strings.Contains(got.out, " accepted") || got.errs != "" {
		t.Errorf("exit code %d, %q, %q", got.code, got.out, got.errs)
	}
}

func TestExplainFaults(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		args []string
		in   string
		code int
		says string
	}{
		{[]string{"nonsense"}, "", 66, "nonsense"},
		{[]string{dir}, "", 74, "is a directory"},
		{[]string{"--format", "sendmail", "421 x"}, "", 64, "sendmail"},
		{[]string{"--svg", filepath.Join(dir, "no", "such.svg"), "testdata/exim.log"}, "", 73, "such.svg"},
		{[]string{"--svg", filepath.Join(dir, "x.svg"), "421 busy"}, "", 65, "--svg"},
		{[]string{}, "\x1f\x8bbroken", 74, "gzip"},
		{[]string{"--format", "exim", "testdata/postfix.log"}, "", 65, "postfix.log"},
	} {
		got := call(t.Context(), nil, strings.NewReader(tt.in), append([]string{"explain"}, tt.args...)...)
		if got.code != tt.code || !strings.Contains(got.errs, tt.says) {
			t.Errorf("%q: exit code %d, %q; want %d and %q", tt.args, got.code, got.errs, tt.code, tt.says)
		}
	}
}
