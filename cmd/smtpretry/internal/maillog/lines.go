package maillog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"iter"
	"strings"
)

// maxLine is how much of a line is looked at.
const maxLine = 256 << 10

// Lines yields the lines of a log, unpacked if it is gzip's. Those of a reply of
// several lines come as one, joined by \n. A line that is too long comes in
// pieces. An error is the last that is yielded.
func Lines(r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		in := bufio.NewReader(r)
		if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
			z, err := gzip.NewReader(in)
			if err != nil {
				yield("", fmt.Errorf("gzip: %w", err))
				return
			}
			defer z.Close()
			in = bufio.NewReader(z)
		}
		lines := bufio.NewScanner(in)
		lines.Buffer(make([]byte, 0, 64<<10), maxLine+1)
		lines.Split(splitLines)
		held := "" // the beginning of a reply
		for lines.Scan() {
			line := strings.TrimRight(lines.Text(), "\r\n")
			switch {
			case held == "":
			case line[:min(3, len(line))] == held[:3] && replyStart.MatchString(line) && len(held) < maxLine:
				line = held + "\n" + line
			case !yield(held, nil):
				return
			}
			held = ""
			if goesOn(line) {
				held = line
				continue
			}
			if !yield(line, nil) {
				return
			}
		}
		if held != "" && !yield(held, nil) {
			return
		}
		if err := lines.Err(); err != nil {
			yield("", err)
		}
	}
}

// goesOn says whether the next line belongs to a reply, too.
func goesOn(text string) bool {
	m := replyStart.FindStringSubmatch(text[strings.LastIndexByte(text, '\n')+1:])
	return m != nil && m[2] == "-"
}

// splitLines is bufio.ScanLines for lines of any length.
func splitLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i < 0 && len(data) >= maxLine {
		return maxLine, data[:maxLine], nil
	}
	return bufio.ScanLines(data, atEOF)
}
