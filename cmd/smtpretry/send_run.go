package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/smtpretry/smtpretry"
	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
	"github.com/smtpretry/smtpretry/queue"
)

var errInterrupted = errors.New("interrupted")

// A sending is the messages of one call on their way.
type sending struct {
	*sender
	out  *outlet
	load func(name string) (*smtpretry.Message, error)

	mu   sync.Mutex // between the workers that print
	bar  *progressbar.ProgressBar
	code int
}

// sendAll sends the files, several at once, and says of each what became of it.
func (s *sender) sendAll(ctx context.Context, out *outlet, load func(string) (*smtpretry.Message, error)) error {
	w := &sending{sender: s, out: out, load: load}
	if len(s.files) > 1 && ui.IsTerminal(s.Err) && !s.JSON && !s.sendmail {
		w.bar = progressbar.NewOptions(len(s.files), progressbar.OptionSetWriter(s.Err), progressbar.OptionShowCount(),
			progressbar.OptionSetDescription("sending"), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true))
	}
	names := make(chan string)
	var workers sync.WaitGroup
	for range min(max(out.workers, 1), len(s.files)) {
		workers.Go(func() {
			for name := range names {
				w.one(ctx, name)
			}
		})
	}
	for _, name := range s.files {
		names <- name
	}
	close(names)
	workers.Wait()
	if w.bar != nil {
		_ = w.bar.Finish()
	}
	return ui.Exit(w.code)
}

// one sends a file and says what became of it.
func (w *sending) one(ctx context.Context, name string) {
	m, err := w.load(name)
	if err == nil && ctx.Err() != nil {
		err = ui.Fail(ui.TempFail, errInterrupted)
	}
	var got sent
	if err == nil {
		m.Trace = w.trace(name)
		got, err = w.out.send(ctx, m)
	}
	code := codeOfSending(got, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.code = ui.Worse(w.code, code)
	if w.bar != nil {
		_ = w.bar.Clear()
	}
	if w.JSON {
		if err := w.Encode(w.asJSON(name, m, got, err, code)); err != nil {
			w.code = ui.IOErr
		}
	} else {
		w.print(name, m, got, err)
	}
	if w.bar != nil {
		_ = w.bar.Add(1)
	}
}

// codeOfSending says whether it is safe, and of use, to send the same again.
func codeOfSending(got sent, err error) int {
	if err == nil {
		return ui.OK
	}
	var coded *ui.ExitError
	var faulty *smtpretry.FieldError
	switch {
	case errors.As(err, &coded):
		return coded.Code
	case errors.As(err, &faulty) && got.result == nil, errors.Is(err, queue.ErrTooLarge):
		return ui.DataErr
	case got.result == nil:
		return ui.TempFail // of the queue's database
	}
	touched := slices.ContainsFunc(got.result.Recipients, func(r smtpretry.Recipient) bool { return r.State != smtpretry.Deferred })
	switch {
	case touched:
		return ui.Refused
	case errors.As(err, &faulty):
		return ui.DataErr
	case errors.Is(err, smtpretry.ErrRefused):
		for _, r := range got.result.Recipients {
			if r.Verdict.Cause == smtpretry.CauseAuth {
				return ui.NoPerm
			}
		}
		return ui.Unavailable
	}
	return ui.TempFail
}

// trace says what is waited for, on a terminal or where that is wanted.
func (w *sending) trace(name string) *smtpretry.Trace {
	if !w.verbose && (!ui.IsTerminal(w.Err) || w.sendmail) {
		return nil
	}
	tell := func(format string, args ...any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.bar != nil {
			_ = w.bar.Clear()
		}
		fmt.Fprintf(w.Err, "%s%s\n", w.prefix(name), fmt.Sprintf(format, args...))
	}
	return &smtpretry.Trace{
		Attempted: func(a smtpretry.Attempt) {
			for _, r := range a.Recipients {
				if r.Next.IsZero() {
					continue // what ends it is printed in the end
				}
				words := r.Verdict.Reply()
				if strings.TrimSpace(words) == "" && a.Err != nil {
					words = ui.Line(a.Err.Error())
				}
				tell("%s: again %s", words, when(r.Next, a.End))
				return // the others mostly got the same
			}
		},
		Waiting: func(wait smtpretry.Wait) {
			if wait.For == "retry" {
				return // said above
			}
			until := ""
			if !wait.Until.IsZero() {
				until = " " + when(wait.Until, time.Now())
			}
			tell("waiting for the limit %s%s", wait.For, until)
		},
	}
}

// when is a time that is to come, as a clock shows it and from now on.
func when(at, now time.Time) string {
	d := at.Sub(now)
	if d < time.Second {
		return "at once"
	}
	return fmt.Sprintf("at %s, in %s", at.Local().Format(time.TimeOnly), short(d.Round(time.Second)))
}

// prefix is a message's name, where there is more than one.
func (w *sending) prefix(name string) string {
	if len(w.files) == 1 {
		return ""
	}
	return name + ": "
}

// print says what became of each recipient. Under the name sendmail only what
// failed is said.
func (w *sending) print(name string, m *smtpretry.Message, got sent, err error) {
	p := w.prefix(name)
	switch {
	case got.receipt != nil && err == nil:
		if !w.sendmail {
			fmt.Fprintf(w.Out, "%s%s  as %d, for %s\n", p, w.Paint(ui.Good, "queued"), got.receipt.ID, strings.Join(m.To, ", "))
		}
		return
	case got.result == nil:
		fmt.Fprintf(w.Err, "smtpretry: %s%s\n", p, reasons(err))
		return
	}
	for _, r := range got.result.Recipients {
		style, words := ui.Warn, r.Verdict.String()
		switch r.State {
		case smtpretry.Accepted:
			if w.sendmail {
				continue
			}
			style, words = ui.Good, got.result.Queued
		case smtpretry.Rejected, smtpretry.InDoubt:
			style = ui.Bad
		case smtpretry.Deferred:
		}
		to := w.Out
		if w.sendmail {
			to = w.Err
		}
		if r.State != smtpretry.Accepted && r.Verdict.Rule == "" {
			words = "not offered to the server"
		}
		if why := failure(got.result, r); why != "" {
			words = strings.Replace(words, "no reply", "no reply: "+why, 1)
		}
		fmt.Fprintf(to, "%s%s  %s  %s\n", p, w.Paint(style, fmt.Sprintf("%-8s", r.State)), r.Address, words)
		if advice := r.Verdict.Advice(); advice != "" {
			fmt.Fprintf(to, "          %s\n", wrap(advice, w.Width()-10, 10))
		}
	}
	if err != nil && !w.sendmail {
		fmt.Fprintf(w.Err, "smtpretry: %s%s\n", p, reasons(err))
	}
}

// failure says what went wrong for a recipient where no reply tells it.
func failure(res *smtpretry.Result, r smtpretry.Recipient) string {
	for _, a := range slices.Backward(res.Attempts) {
		if a.Err != nil && r.Verdict.Code == 0 && a.Verdict.Code == 0 && a.Verdict.Rule == r.Verdict.Rule {
			return ui.Line(a.Err.Error())
		}
	}
	return ""
}

// reasons says why it ended, without the replies, which stand above.
func reasons(err error) string {
	var ended *smtpretry.SendError
	if !errors.As(err, &ended) {
		return strings.TrimPrefix(err.Error(), "smtpretry: ")
	}
	var words []string
	for _, r := range ended.Reasons {
		words = append(words, reasons(r))
	}
	return strings.Join(words, "; ")
}

// jsonSent is a message's fate as JSON.
type jsonSent struct {
	File       string          `json:"file"`
	From       string          `json:"from"`
	Code       int             `json:"exit_code"`
	Recipients []jsonRecipient `json:"recipients,omitempty"`
	Server     string          `json:"server_said,omitempty"` // to the final dot
	Attempts   int             `json:"attempts,omitempty"`
	Queue      int64           `json:"queue_id,omitempty"`
	Error      string          `json:"error,omitempty"`
}

type jsonRecipient struct {
	Address string          `json:"address"`
	State   smtpretry.State `json:"state"`
	Meaning *meaning        `json:"refusal,omitempty"`
}

func (w *sending) asJSON(name string, m *smtpretry.Message, got sent, err error, code int) jsonSent {
	out := jsonSent{File: name, Code: code}
	if m != nil {
		out.From = m.From
	}
	if err != nil {
		out.Error = err.Error()
	} else if got.receipt != nil {
		out.Queue = got.receipt.ID
	}
	if got.result != nil {
		out.Server, out.Attempts = got.result.Queued, len(got.result.Attempts)
		for _, r := range got.result.Recipients {
			one := jsonRecipient{Address: r.Address, State: r.State}
			if r.Verdict.Rule != "" {
				m := meaningOf(r.Verdict)
				one.Meaning = &m
			}
			out.Recipients = append(out.Recipients, one)
		}
	}
	return out
}
