package testserver

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parseMail reads what follows "MAIL ". wrong is the reply to a bad one.
func parseMail(cfg *Config, arg string) (from string, params map[string]string, wrong string) {
	rest, found := cutPrefixFold(arg, "FROM:")
	if !found {
		return "", nil, "501 5.5.4 Syntax: MAIL FROM:<address>"
	}
	from, rest, ok := parsePath(rest)
	if !ok {
		return "", nil, "501 5.1.7 Bad sender address syntax"
	}
	params, wrong = parseParams(rest, func(keyword, value string) bool {
		switch keyword {
		case "SIZE":
			_, err := strconv.ParseUint(value, 10, 63)
			return err == nil
		case "BODY":
			return strings.EqualFold(value, "7BIT") || strings.EqualFold(value, "8BITMIME")
		case "SMTPUTF8":
			return value == ""
		case "RET":
			return strings.EqualFold(value, "FULL") || strings.EqualFold(value, "HDRS")
		}
		return value != "" // ENVID, AUTH
	}, map[string]bool{
		"SIZE": cfg.offers("SIZE"), "BODY": cfg.offers("8BITMIME"), "SMTPUTF8": cfg.offers("SMTPUTF8"),
		"RET": cfg.offers("DSN"), "ENVID": cfg.offers("DSN"), "AUTH": cfg.Users != nil,
	})
	if wrong != "" {
		return "", nil, wrong
	}
	_, utf8OK := params["SMTPUTF8"]
	if from != "" {
		wrong = checkAddress(from, utf8OK, "501 5.1.7 Bad sender address syntax")
	}
	return from, params, wrong
}

// parseRcpt reads what follows "RCPT ".
func parseRcpt(cfg *Config, arg string, utf8OK bool) (to string, params map[string]string, wrong string) {
	rest, found := cutPrefixFold(arg, "TO:")
	if !found {
		return "", nil, "501 5.5.4 Syntax: RCPT TO:<address>"
	}
	to, rest, ok := parsePath(rest)
	if !ok {
		return "", nil, "501 5.1.3 Bad recipient address syntax"
	}
	params, wrong = parseParams(rest, func(keyword, value string) bool {
		if keyword == "ORCPT" {
			return strings.Contains(value, ";")
		}
		words := strings.Split(strings.ToUpper(value), ",")
		if slices.Contains(words, "NEVER") {
			return len(words) == 1
		}
		return !slices.ContainsFunc(words, func(w string) bool { return w != "SUCCESS" && w != "FAILURE" && w != "DELAY" })
	}, map[string]bool{"NOTIFY": cfg.offers("DSN"), "ORCPT": cfg.offers("DSN")})
	if wrong == "" && !strings.EqualFold(to, "postmaster") { // RFC 5321 section 4.1.1.3
		wrong = checkAddress(to, utf8OK, "501 5.1.3 Bad recipient address syntax")
	}
	return to, params, wrong
}

// cutPrefixFold is strings.CutPrefix without regard to case.
func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// parsePath takes "<address>" off the front of s. A source route is dropped
// (RFC 5321 appendix C); spaces before the path are forgiven.
func parsePath(s string) (address, rest string, ok bool) {
	s = strings.TrimLeft(s, " ")
	if s == "" || s[0] != '<' {
		return "", "", false
	}
	quoted := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			address, rest = s[1:i], s[i+1:]
			if route, mailbox, found := strings.Cut(address, ":"); found && strings.HasPrefix(route, "@") {
				address = mailbox
			}
			return address, rest, rest == "" || rest[0] == ' '
		}
	}
	return "", "", false
}

// parseParams reads ESMTP parameters. known gives the keywords and whether
// they are offered, valid checks a value.
func parseParams(s string, valid func(keyword, value string) bool, known map[string]bool) (params map[string]string, wrong string) {
	for word := range strings.FieldsSeq(s) {
		keyword, value, _ := strings.Cut(word, "=")
		keyword = strings.ToUpper(keyword)
		_, twice := params[keyword]
		switch {
		case !known[keyword]:
			return nil, "555 5.5.4 Unsupported option: " + printable(strings.ToValidUTF8(keyword, "?"))
		case twice || !valid(keyword, value):
			return nil, "501 5.5.4 Bad parameter: " + keyword
		}
		if params == nil {
			params = make(map[string]string)
		}
		params[keyword] = value
	}
	return params, ""
}

// checkAddress returns wrong, or a reply of its own, for what is no mailbox.
func checkAddress(address string, utf8OK bool, wrong string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 1 || at == len(address)-1 || len(address) > 254 || !utf8.ValidString(address) {
		return wrong
	}
	local, domain := address[:at], address[at+1:]
	quoted := len(local) >= 2 && local[0] == '"' && local[len(local)-1] == '"'
	for _, r := range address {
		switch {
		case r < ' ' || r == 0x7f, r == ' ' && !quoted:
			return wrong
		case r >= utf8.RuneSelf && !utf8OK:
			return "553 5.6.7 Address needs SMTPUTF8"
		}
	}
	if strings.ContainsAny(domain, " <>,;\"\\@()") || !quoted && strings.ContainsAny(local, "<>,;:\"\\@()[]") {
		return wrong
	}
	return ""
}
