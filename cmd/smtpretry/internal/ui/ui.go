package ui

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/fatih/color"
	"golang.org/x/term"
)

// A UI is where a command reads and prints. The zero value is not usable; see
// [New] and [Plain].
type UI struct {
	In       io.Reader
	Out, Err io.Writer
	JSON     bool                // --json: results go to Out as JSON, one value on a line, and nothing else does
	Getenv   func(string) string // os.Getenv

	colour bool // Out is a terminal that may be painted
}

// New returns the UI of the process. It paints only on a terminal, and never
// where NO_COLOR is set (https://no-color.org) or the terminal is dumb.
func New() *UI {
	return &UI{In: os.Stdin, Out: color.Output, Err: color.Error, Getenv: os.Getenv,
		colour: IsTerminal(os.Stdout) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// Plain returns a UI for tests: no terminal, no colours, no environment.
func Plain(in io.Reader, out, errs io.Writer) *UI {
	return &UI{In: in, Out: out, Err: errs, Getenv: func(string) string { return "" }}
}

// IsTerminal says whether a reader or writer is a terminal.
func IsTerminal(stream any) bool {
	switch stream {
	case color.Output: // what stands for it on Windows is no file
		stream = os.Stdout
	case color.Error:
		stream = os.Stderr
	}
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Width returns how many columns Out has: those of the terminal, else 80.
func (u *UI) Width() int {
	if IsTerminal(u.Out) {
		if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return 80
}

// Interruptible returns a reader of r that gives err when ctx has ended, also while
// r keeps it waiting.
func Interruptible(ctx context.Context, r io.Reader, err error) io.Reader {
	pr, pw := io.Pipe()
	context.AfterFunc(ctx, func() { _ = pw.CloseWithError(err) })
	go func() { // ends with r, or with the program
		_, readErr := io.Copy(pw, r)
		_ = pw.CloseWithError(readErr)
	}()
	return pr
}

// Encode prints v as JSON on one line.
func (u *UI) Encode(v any) error {
	e := json.NewEncoder(u.Out)
	e.SetEscapeHTML(false)
	return Fail(IOErr, e.Encode(v))
}

// A Style is a way to paint words.
type Style color.Attribute

// The styles.
const (
	Bold = Style(color.Bold)     // headings, names
	Dim  = Style(color.Faint)    // less important
	Good = Style(color.FgGreen)  // done, accepted
	Warn = Style(color.FgYellow) // temporary
	Bad  = Style(color.FgRed)    // refused for good
)

// Paint returns s for Out in a style, or as it is where no colours are wanted.
func (u *UI) Paint(s Style, text string) string {
	if !u.colour || text == "" {
		return text
	}
	c := color.New(color.Attribute(s))
	c.EnableColor()
	return c.Sprint(text)
}

// AskPassword asks on the terminal for the password of somebody, without showing it.
// The program ends where none is given.
func (u *UI) AskPassword(of string) (string, error) {
	f, ok := u.In.(*os.File)
	if !ok || !IsTerminal(f) {
		return "", errors.New("there is no terminal to ask for a password")
	}
	// Nothing is echoed any more before the prompt invites to type.
	before, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return "", err
	}
	defer func() { _ = term.Restore(int(f.Fd()), before) }()
	password, err := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{f, u.Err}, "").ReadPassword("Password of " + of + ": ")
	if errors.Is(err, io.EOF) || err == nil && password == "" { // EOF: Ctrl-C or Ctrl-D
		err = errors.New("no password was given")
	}
	return password, Fail(Usage, err)
}
