package smtpretry

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A wordList is a reply's text made ready for matching: lower-case words
// separated by single spaces, with a space before the first and after the
// last. Punctuation is gone, apostrophes are dropped and accents removed. What
// users or servers are called cannot trigger a rule: an IP address became
// "@ip", a mail address "@addr", a host name "@host", a link "@url". The words
// that links and host names are made of stand behind the prose, since the end
// of a link is often the machine-readable cause; so do the links and codes of
// what follows the reason.
type wordList struct {
	buf   []byte
	prose int // length of the part before links and host names
}

// maxProse is how much of a reply, in octets, is read for its reason; servers
// give it first.
const maxProse = 256

// maxWordList is room for maxProse octets as words, and for links and codes.
// An octet of the text makes at most two of words, and a few at the end.
const maxWordList = 4 * maxProse

// Placeholders in a wordList.
const (
	wordIP   = "@ip "
	wordAddr = "@addr "
	wordHost = "@host "
	wordURL  = "@url "
)

// A token kind says what a run of non-space characters is.
type tokenKind uint8

const (
	tokenWords tokenKind = iota
	tokenDrop
	tokenIP
	tokenAddr
	tokenHost
	tokenURL
)

// readWords splits text into words. room is scratch space.
func readWords(room *[maxWordList]byte, text string) wordList {
	text, rest := cutReason(text)
	buf, names := room[:3*maxProse], room[3*maxProse:3*maxProse]
	buf[0] = ' '
	names = append(names, ' ')
	n := 1     // octets of buf in use: at most two for each of text, and a few
	from := 0  // where the token in hand begins in text
	start := n // where its words begin in buf
	for i := 0; i < len(text); {
		c := text[i]
		if w := wordBytes[c]; w != 0 {
			buf[n] = w
			n++
			i++
			continue
		}
		switch kind := tokenBytes[c]; {
		case kind == mark:
			// A name, an address or a link may be: look at all of it.
			i = tokenEnd(text, i, from)
			var words []byte
			words, names = appendToken(buf[:start], names, text[from:i])
			n = len(words)
			from, start = i, n
			continue
		case c >= utf8.RuneSelf:
			words, size := appendRune(buf[:n], text[i:])
			n = len(words)
			i += size
			continue
		case c != '\'' && buf[n-1] != ' ':
			buf[n] = ' '
			n++
		}
		i++
		if tokenBytes[c] == separator {
			from, start = i, n
		}
	}
	if buf[n-1] != ' ' {
		buf[n] = ' '
		n++
	}
	return wordList{append(buf[:n], appendCodes(names, rest)...), n}
}

// cutReason cuts off what stands behind the reason: where to learn more, and
// what is beyond maxProse.
func cutReason(text string) (reason, rest string) {
	end := min(len(text), maxProse)
	if i := strings.Index(text[:end], "ore information"); i >= 0 {
		end = i
	}
	if end < len(text) {
		end = max(strings.LastIndexByte(text[:end], ' '), 0)
	}
	return text[:end], text[end:]
}

// appendCodes appends the words of the links in text, and of what is written
// in capitals, as most vendors' codes are.
func appendCodes(names []byte, text string) []byte {
	for more := text != ""; more; {
		var field string
		field, text, more = strings.Cut(text, " ")
		if len(field) > 0 && tokenBytes[field[0]] == separator {
			field = field[1:]
		}
		if len(field) > 2 && (isUpper(field[0]) && isUpper(field[1]) || isLink(field)) {
			names = appendWords(names, field)
		}
	}
	return names
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

// tokenEnd returns where the token ends that begins at from and of which the
// part before i is known.
func tokenEnd(text string, i, from int) int {
	link := isLink(text[from:])
	for i < len(text) && (tokenBytes[text[i]] != separator || link && strings.IndexByte("=&,;|", text[i]) >= 0) {
		i++
	}
	return i
}

// appendToken appends what stands for a token: its words, or the kind of name
// that it is.
func appendToken(buf, names []byte, token string) (newBuf, newNames []byte) {
	switch kindOf(token) {
	case tokenDrop:
	case tokenIP:
		buf = append(buf, wordIP...)
	case tokenAddr:
		before, after, _ := strings.Cut(token, ":") // "mail:user@example.org", "user@example.org:unknown"
		if !strings.Contains(before, "@") {
			buf, after = appendWords(buf, before), ""
		}
		buf = append(buf, wordAddr...)
		buf = appendWords(buf, after)
	case tokenHost:
		buf = append(buf, wordHost...)
		names = appendWords(names, token)
	case tokenURL:
		buf = append(buf, wordURL...)
		names = appendWords(names, token)
	default:
		buf = appendWords(buf, token)
	}
	return buf, names
}

// What a byte means for tokens.
const (
	separator = 1 + iota // stands between tokens
	mark                 // stands in names, addresses and links
)

var tokenBytes = func() (t [256]byte) {
	for _, c := range []byte(" \t\r\n<>[](){}\"`,;=|&") {
		t[c] = separator
	}
	t['.'], t[':'], t['@'] = mark, mark, mark
	return t
}()

// kindOf says what a token is.
func kindOf(token string) tokenKind {
	dots, colons, slashes, at := 0, 0, false, -1
	for i := range len(token) {
		switch token[i] {
		case '.':
			dots++
		case ':':
			colons++
			slashes = slashes || strings.HasPrefix(token[i:], "://")
		case '@':
			at = i
		}
	}
	switch {
	case slashes, isLink(token):
		return tokenURL
	case at > 0 && at < len(token)-1:
		return tokenAddr
	}
	token = strings.TrimLeft(strings.TrimRight(token, ".:!?_-'"), "#-'")
	if code, n := scanEnhanced(token); n == len(token) && n > 0 && code[0] > 0 {
		return tokenDrop
	}
	switch {
	case colons >= 2 && isIPv6(token), dots >= 3 && startsWithIPv4(token):
		return tokenIP
	case dots > 0 && isHost(token):
		return tokenHost
	}
	return tokenWords
}

func isLink(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "www.")
}

func isIPv6(s string) bool {
	digits := false
	for i := range len(s) {
		c := s[i] | 0x20
		if s[i] != ':' && s[i] != '/' && s[i] != '.' && !isDigit(s[i]) && (c < 'a' || c > 'f') {
			return false
		}
		digits = digits || isDigit(s[i])
	}
	return digits
}

// startsWithIPv4 accepts four numbers, and what may follow: a port, a prefix
// length, an underscore and words.
func startsWithIPv4(s string) bool {
	n := 0
	for part := range 4 {
		if part > 0 {
			if n >= len(s) || s[n] != '.' {
				return false
			}
			n++
		}
		from := n
		for n < len(s) && isDigit(s[n]) && n-from < 3 {
			n++
		}
		if n == from {
			return false
		}
	}
	return n == len(s) || !isWordByte(s[n]) && s[n] != '.'
}

// isHost accepts names with dots inside that are no two sentences run
// together ("is blocked.For assistance").
func isHost(s string) bool {
	last := -1
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '.':
			if i == 0 || i == len(s)-1 || s[i-1] == '.' {
				return false
			}
			if before, after := s[i-1], s[i+1]; 'a' <= before && before <= 'z' && 'A' <= after && after <= 'Z' {
				return false
			}
			last = i
		case isWordByte(c), c == '-', c == '_', c == ':', c == '/', c == '#':
		default:
			return false
		}
	}
	return last > 0 && !isDigit(s[last+1]) && len(s)-last > 2
}

// appendWords appends the words of a token, each followed by a space.
func appendWords(buf []byte, token string) []byte {
	for i := 0; i < len(token); {
		c := token[i]
		if w := wordBytes[c]; w != 0 {
			buf = append(buf, w)
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			var n int
			buf, n = appendRune(buf, token[i:])
			i += n
			continue
		}
		if i++; c != '\'' && len(buf) > 0 && buf[len(buf)-1] != ' ' {
			buf = append(buf, ' ')
		}
	}
	if len(buf) > 0 && buf[len(buf)-1] != ' ' {
		buf = append(buf, ' ')
	}
	return buf
}

// appendRune appends the first character of s, which is not ASCII, in lower
// case and without accents, and returns its length in s.
func appendRune(buf []byte, s string) ([]byte, int) {
	r, n := utf8.DecodeRuneInString(s)
	switch r = unicode.ToLower(r); {
	case r == '’' || r == '‘' || r == '´':
	case r >= 0xc0 && int(r-0xc0) < len(baseLetters) && baseLetters[r-0xc0] != ' ':
		buf = append(buf, baseLetters[r-0xc0])
	case unicode.IsLetter(r) || unicode.IsDigit(r):
		buf = utf8.AppendRune(buf, r)
	case len(buf) > 0 && buf[len(buf)-1] != ' ':
		buf = append(buf, ' ')
	}
	return buf, n
}

// wordBytes holds for each ASCII letter and digit the one to match; 0 for the
// rest.
var wordBytes = func() (t [256]byte) {
	for c := range byte(utf8.RuneSelf) {
		if isWordByte(c) {
			t[c] = c
		}
		if 'A' <= c && c <= 'Z' {
			t[c] = c | 0x20
		}
	}
	return t
}()

// baseLetters holds the letters U+00C0 to U+017F without their accents; a
// space where there is none.
const baseLetters = "aaaaaaaceeeeiiiidnooooo ouuuuy saaaaaaaceeeeiiiidnooooo ouuuuy y" +
	"aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkkllllllllllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs"
