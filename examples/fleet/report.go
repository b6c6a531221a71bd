package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry/examples/internal/chart"
	"github.com/smtpretry/smtpretry/internal/testserver"
)

// marks stand for a message of each process; the colours can be told apart by
// nearly everybody.
var (
	marks   = [processes]string{"█", "▓", "░"}
	colours = [processes]string{"#0072b2", "#d55e00", "#009e73"}
)

// report prints and draws what the server took from whom in each second.
func report(w io.Writer, messages []*testserver.Message, begin time.Time, d time.Duration, file string) error {
	by, all := [processes][]*testserver.Message{}, []time.Time(nil)
	for _, m := range messages {
		if m.Time.Sub(begin) < d {
			i := m.From[0] - 'A'
			by[i] = append(by[i], m)
			all = append(all, m.Time)
		}
	}
	seconds := int(d.Seconds())
	counts := make([][processes]int, seconds)
	for i := range by {
		for _, m := range by[i] {
			counts[min(int(m.Time.Sub(begin).Seconds()), seconds-1)][i]++
		}
	}
	fmt.Fprintln(w)
	for s, c := range counts {
		fmt.Fprintf(w, "%3d s ", s+1)
		sum := 0
		for i, n := range c {
			fmt.Fprint(w, strings.Repeat(marks[i], n))
			sum += n
		}
		fmt.Fprintf(w, " %d\n", sum)
	}
	fmt.Fprintln(w)
	for i := range by {
		fmt.Fprintf(w, "%s process %s: %d messages\n", marks[i], name(i), len(by[i]))
	}
	fmt.Fprintf(w, "together: %d of %d, %.1f %% of the limit; at most %d within any second\n",
		len(all), int(perSecond*d.Seconds())+1, 100*float64(len(all))/(perSecond*d.Seconds()+1), mostWithin(all, time.Second))

	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := errors.Join(plot(f, counts), f.Close()); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nplot:", file)
	return nil
}

// mostWithin returns how many times lie in the fullest window of length d.
func mostWithin(times []time.Time, d time.Duration) (most int) {
	slices.SortFunc(times, time.Time.Compare)
	from := 0
	for i, t := range times {
		for t.Sub(times[from]) >= d {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

// The plot's measures, in pixels.
const (
	width, height = 960, 420
	left, right   = 70, 30
	top, bottom   = 84, 64
)

// plot draws what came from each process in each second, one on top of the other.
func plot(w io.Writer, counts [][processes]int) error {
	b := bufio.NewWriter(w)
	f := chart.Frame{Left: left, Right: width - right, Top: top, Bottom: height - bottom, Seconds: float64(len(counts)), Most: perSecond * 1.25}
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="14">
<rect width="100%%" height="100%%" fill="white"/>
<text x="%d" y="30" font-size="19" font-weight="bold">Messages per second from %d processes that share a limit of %d</text>
`, width, height, width, height, left, processes, perSecond)
	f.Rates(b, 6)
	f.Times(b)
	f.Axes(b)
	for s, c := range counts {
		sum := 0
		for i, n := range c {
			from, to := f.Y(float64(sum)), f.Y(float64(sum+n))
			fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>
`, f.X(float64(s))+1, to, f.X(1)-f.X(0)-2, from-to, colours[i])
			sum += n
		}
	}
	at := left
	for i := range processes {
		fmt.Fprintf(b, `<rect x="%d" y="50" width="22" height="14" fill="%s"/><text x="%d" y="62" font-size="13">process %s</text>
`, at, colours[i], at+30, name(i))
		at += 120
	}
	fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="57" y2="57" stroke="black" stroke-width="2" stroke-dasharray="8 5"/><text x="%d" y="62" font-size="13">the limit</text>
<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="black" stroke-width="2" stroke-dasharray="8 5"/>
</svg>
`, at, at+30, at+38, left, width-right, f.Y(perSecond), f.Y(perSecond))
	return b.Flush()
}
