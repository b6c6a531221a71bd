package smtpretry

import (
	"strings"
	"time"
)

// hintUnits are the words for units of time after a number; a unit that is
// glued to the number ("24h") counts too.
var hintUnits = map[string]time.Duration{
	"s": time.Second, "sec": time.Second, "secs": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hrs": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"day": 24 * time.Hour, "days": 24 * time.Hour,
	"sekunde": time.Second, "sekunden": time.Second, "minuten": time.Minute,
	"stunde": time.Hour, "stunden": time.Hour, "tag": 24 * time.Hour, "tagen": 24 * time.Hour,
	"seconde": time.Second, "secondes": time.Second, "heure": time.Hour, "heures": time.Hour,
	"jour": 24 * time.Hour, "jours": 24 * time.Hour,
	"segundo": time.Second, "segundos": time.Second, "minuto": time.Minute, "minutos": time.Minute,
	"hora": time.Hour, "horas": time.Hour,
	"secondi": time.Second, "minuti": time.Minute, "ora": time.Hour, "ore": time.Hour,
}

// hintWords announce a time to wait when they stand at most three words
// before the number; those of false speak of the past instead, of a window that
// counts back or of the age of something.
var hintWords = map[string]bool{
	"in": true, "for": true, "after": true, "every": true, "wait": true, "penalty": true, "least": true, "another": true,
	"nach": true, "warten": true, "dans": true, "apres": true, "attendre": true, "en": true, "espere": true,
	"dopo": true, "tra": true, "em": true,
	"last": false, "past": false, "previous": false, "per": false, "than": false, "over": false, "inactive": false, "unused": false,
}

// waitNamed returns the time that a reply asks to wait, within the bounds of
// Verdict.RetryAfter, or 0. A number counts only with a unit, or in the form
// HH:MM:SS, and only close behind a word that announces a wait.
func waitNamed(text string) time.Duration {
	for i := 0; i < len(text); i++ {
		if !isDigit(text[i]) {
			continue
		}
		start := i
		for i < len(text) && (isWordByte(text[i]) || text[i] == ':' || text[i] == '.') {
			i++ // to the end of the number, the address or the id
		}
		if start > 0 && strings.IndexByte(" :(=", text[start-1]) < 0 {
			continue
		}
		d := duration(strings.TrimRight(text[start:i], ":."), text[i:])
		if d <= 0 {
			continue
		}
		before := text[:start]
		if !announced(before) {
			continue
		}
		if nearest, _ := lastHintWord(before); nearest == "penalty" {
			d = min(d, maxRetryAfter) * time.Duration(1+min(tries(text[i:]), maxCount))
		}
		return min(max(d, minRetryAfter), maxRetryAfter)
	}
	return 0
}

// announced says whether one of the last three words of text announces a wait.
func announced(text string) bool {
	found := false
	for range 3 {
		var word string
		word, text = lastHintWord(text)
		announces, known := hintWords[word]
		if known && !announces {
			return false
		}
		found = found || announces
	}
	return found
}

// lastHintWord cuts the last word off s and returns it in lower case.
func lastHintWord(s string) (word, rest string) {
	end := len(s)
	for end > 0 && !isWordByte(s[end-1]) {
		end--
	}
	start := end
	for start > 0 && isWordByte(s[start-1]) {
		start--
	}
	return strings.ToLower(s[start:end]), s[:start]
}

// nextHintWord cuts the first word off s and returns it in lower case.
func nextHintWord(s string) (word, rest string) {
	i := 0
	for i < len(s) && !isWordByte(s[i]) {
		i++
	}
	j := i
	for j < len(s) && isWordByte(s[j]) {
		j++
	}
	return strings.ToLower(s[i:j]), s[j:]
}

// maxCount is how many of a unit are read: as many seconds as maxRetryAfter has,
// so that no product overflows.
const maxCount = int(maxRetryAfter / time.Second)

// duration reads "00:04:58", "300s", or "300" before a unit in rest.
func duration(word, rest string) time.Duration {
	if len(word) == 8 && word[2] == ':' && word[5] == ':' {
		h, m, s := number(word[:2]), number(word[3:5]), number(word[6:])
		if h < 0 || m < 0 || s < 0 {
			return 0
		}
		return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
	}
	n := 0
	for n < len(word) && isDigit(word[n]) {
		n++
	}
	unit := strings.ToLower(word[n:])
	if unit == "" {
		unit, _ = nextHintWord(rest)
	}
	count := number(word[:n])
	if count < 0 {
		return 0
	}
	return time.Duration(min(count, maxCount)) * hintUnits[unit]
}

// tries reads the n of policyd-weight's "penalty: 30 seconds x n retries":
// the next attempt must wait once more than that.
func tries(rest string) int {
	_, rest = nextHintWord(rest) // the unit
	x, rest := nextHintWord(rest)
	if x != "x" {
		return 0
	}
	n, _ := nextHintWord(rest)
	return max(number(n), 0)
}

// number reads a number of at most six digits; -1 if s is none.
func number(s string) int {
	if s == "" || len(s) > 6 {
		return -1
	}
	n := 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}
