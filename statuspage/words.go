package statuspage

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/smtpretry/smtpretry"
)

// span returns a time span as people say it, to the second at most. The script
// in the page has the same.
func span(d time.Duration) string {
	s := int64(math.Ceil(d.Seconds()))
	switch {
	case s <= 0:
		return "0s"
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm %02ds", s/60, s%60)
	case s < 48*3600:
		return fmt.Sprintf("%dh %02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd %dh", s/86400, s/3600%24)
}

// number returns n with commas between the thousands.
func number(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// plural returns a number and what it counts.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return number(n) + " " + what + "s"
}

// octets returns a size with its unit.
func octets(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	size, units := float64(n)/unit, "KMGTPE"
	for size >= unit && len(units) > 1 {
		size, units = size/unit, units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", size, units[0])
}

// perTime returns messages per second, to what can be read at a glance.
func perTime(r float64) string {
	switch {
	case r == 0:
		return "0/s"
	case r >= 99.5:
		return number(int(math.Round(r))) + "/s"
	case r >= 9.95:
		return strconv.FormatFloat(r, 'f', 0, 64) + "/s"
	case r >= 0.095:
		return strings.TrimSuffix(strconv.FormatFloat(r, 'f', 1, 64), ".0") + "/s"
	case r*60 >= 0.095:
		return strings.TrimSuffix(strconv.FormatFloat(r*60, 'f', 1, 64), ".0") + "/min"
	}
	return strings.TrimSuffix(strconv.FormatFloat(r*3600, 'f', 1, 64), ".0") + "/h"
}

// perSecond returns how many messages per second a limit lets through for long;
// 0 if that is not limited.
func perSecond(lim *smtpretry.Limit) float64 {
	least := float64(lim.Rate)
	for _, q := range lim.Quotas {
		// One of days says little about a minute.
		if r := float64(q.N) / q.Per.Seconds(); q.Per <= time.Hour && (least == 0 || r < least) {
			least = r
		}
	}
	return least
}

// A part is one part of the limit in force.
type part struct {
	Field  string `json:"field"` // of smtpretry.Limit
	Value  string `json:"value"`
	From   string `json:"from"`
	Source string `json:"source,omitempty"`
}

func parts(e *smtpretry.Explanation) []part {
	list := []part{}
	for _, o := range e.Origins {
		list = append(list, part(o))
	}
	return list
}

var fieldWords = map[string]string{
	"Rate":            "messages",
	"Burst":           "burst",
	"Recipients":      "recipients",
	"Quotas":          "quota",
	"RecipientQuotas": "recipients",
	"NewConns":        "new connections",
	"MaxConns":        "connections at once",
	"PerConn":         "messages per connection",
	"PerMessage":      "recipients per message",
}

// Label says in words what the part limits.
func (p part) Label() string {
	if w := fieldWords[p.Field]; w != "" {
		return w
	}
	return p.Field
}

// Short is the part where there is little room.
func (p part) Short() string {
	switch {
	case p.Field != "MaxConns":
		return p.Value
	case p.Value == "1":
		return "1 connection"
	}
	return p.Value + " connections"
}

// Origin is where the part comes from, in a word.
func (p part) Origin() string {
	switch {
	case p.From == smtpretry.OriginSet:
		return "set"
	case p.From == smtpretry.OriginDefault:
		return "default"
	case p.From == smtpretry.OriginEHLO:
		return "announced"
	case strings.HasPrefix(p.From, smtpretry.OriginKnown):
		return "published"
	}
	return p.From
}
