package ui_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

func TestExit(t *testing.T) {
	coded := ui.Failf(ui.NoInput, "no file: %w", fs.ErrNotExist)
	for _, tt := range []struct {
		err    error
		code   int
		silent bool
		says   string
	}{
		{nil, 0, true, ""},
		{ui.Exit(ui.OK), 0, true, ""},
		{ui.Exit(ui.Refused), 1, true, "exit status 1"},
		{coded, 66, false, "no file: file does not exist"},
		{ui.Fail(ui.IOErr, coded), 66, false, "no file: file does not exist"}, // the first code stays
		{fmt.Errorf("reading: %w", coded), 66, false, "reading: no file: file does not exist"},
		{errors.New("plain"), 70, false, "plain"},
		{ui.Fail(ui.IOErr, nil), 0, true, ""},
	} {
		code, silent := ui.CodeOf(tt.err, ui.Software), ui.Silent(tt.err)
		if code != tt.code || silent != tt.silent || tt.err != nil && tt.err.Error() != tt.says {
			t.Errorf("%v: code %d, silent %v; want %d, %v and %q", tt.err, code, silent, tt.code, tt.silent, tt.says)
		}
	}
	if !errors.Is(coded, fs.ErrNotExist) {
		t.Error("the error behind is lost")
	}
}

func TestWorse(t *testing.T) {
	order := []int{ui.OK, ui.TempFail, ui.Refused, ui.DataErr}
	for i, a := range order {
		for j, b := range order {
			if got, want := ui.Worse(a, b), order[max(i, j)]; got != want {
				t.Errorf("Worse(%d, %d) = %d, want %d", a, b, got, want)
			}
		}
	}
	if got := ui.Worse(ui.DataErr, ui.NoInput); got != ui.DataErr {
		t.Errorf("of two faults the first is not kept: %d", got)
	}
}

func TestPlain(t *testing.T) {
	var out bytes.Buffer
	u := ui.Plain(nil, &out, nil)
	if got := u.Paint(ui.Bad, "x"); got != "x" || u.Width() != 80 || ui.IsTerminal(&out) {
		t.Errorf("painted %q, %d columns", got, u.Width())
	}
	if err := u.Encode(map[string]string{"a": "<b>"}); err != nil || out.String() != "{\"a\":\"<b>\"}\n" {
		t.Errorf("encoded as %q, %v", out.String(), err)
	}
	if _, err := u.AskPassword("?"); err == nil {
		t.Error("a password is asked for where nobody can type it")
	}
}

func TestInterruptible(t *testing.T) {
	got, err := io.ReadAll(ui.Interruptible(t.Context(), strings.NewReader("abc"), errors.New("no")))
	if string(got) != "abc" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	interrupted := errors.New("interrupted")
	ctx, cancel := context.WithCancel(t.Context())
	quiet, w := io.Pipe() // says nothing after "abc"
	defer w.Close()
	go func() {
		_, _ = io.WriteString(w, "abc")
		cancel()
	}()
	if got, err := io.ReadAll(ui.Interruptible(ctx, quiet, interrupted)); string(got) != "abc" && len(got) > 0 || !errors.Is(err, interrupted) {
		t.Errorf("got %q, %v; want that it ends with the context", got, err)
	}
}
