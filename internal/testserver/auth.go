package testserver

import (
	"encoding/base64"
	"slices"
	"strings"
)

// authOffered tells whether AUTH may be used now: a server that has TLS wants
// passwords under TLS only.
func (s *session) authOffered() bool {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	return s.srv.users != nil && (s.tls || s.srv.cfg.TLS == NoTLS) && s.srv.cfg.offers("AUTH")
}

// auth is RFC 4954.
func (s *session) auth(arg string) {
	mech, initial, _ := strings.Cut(arg, " ")
	mech = strings.ToUpper(mech)
	switch {
	case s.helo == "":
		s.bad("503 5.5.1 Error: say hello first")
		return
	case s.needsTLS():
		s.bad("530 5.7.0 Must issue a STARTTLS command first")
		return
	case !s.authOffered() && !s.tls && s.srv.cfg.TLS == StartTLS:
		s.bad("538 5.7.11 Encryption required for requested authentication mechanism")
		return
	case !s.authOffered():
		s.bad("503 5.5.1 Error: authentication not enabled")
		return
	case s.user != "" || s.open:
		s.bad("503 5.5.1 Error: AUTH is out of place here")
		return
	case !slices.Contains(s.srv.cfg.Mechanisms, mech):
		s.bad("504 5.5.4 Error: mechanism not offered")
		return
	}
	user := ""
	s.step(s.at(Auth), 2, func() *Action {
		var a *Action
		user, a = s.exchange(mech, initial)
		return a
	}, func() {
		if user == "" {
			user = "by script"
		}
		s.user = user
	})
}

// exchange runs a mechanism. It returns who it is when the reply is positive.
func (s *session) exchange(mech, initial string) (string, *Action) {
	answer := func(challenge string) (string, *Action) { return s.challenge(challenge) }
	if initial != "" {
		first := initial
		answer = func(challenge string) (string, *Action) {
			answer := first
			if first = ""; answer == "" {
				return s.challenge(challenge)
			}
			return s.decode(answer)
		}
	}
	var user, secret string
	switch mech {
	case "LOGIN":
		var stop *Action
		if user, stop = answer("Username:"); stop != nil {
			return "", stop
		}
		if secret, stop = answer("Password:"); stop != nil {
			return "", stop
		}
	default:
		response, stop := answer("")
		if stop != nil {
			return "", stop
		}
		if mech == "PLAIN" {
			parts := strings.Split(response, "\x00")
			if len(parts) != 3 {
				return "", s.ok("501 5.5.2 Error: bad PLAIN response")
			}
			user, secret = parts[1], parts[2]
		} else {
			user, secret = bearer(response)
		}
	}
	if s.srv.knows(user, secret) {
		return user, s.ok("235 2.7.0 Authentication successful")
	}
	if mech == "XOAUTH2" || mech == "OAUTHBEARER" {
		// The failure is told in a challenge, which the client answers with
		// an empty response (RFC 7628 section 3.2.3).
		if _, stop := s.challenge(`{"status":"invalid_token","schemes":"bearer"}`); stop != nil && stop.then != stayOpen {
			return "", stop
		}
	}
	s.note(ByAuth)
	return "", s.ok("535 5.7.8 Error: authentication failed")
}

// challenge asks the client and returns its answer, or how to end the exchange.
func (s *session) challenge(text string) (string, *Action) {
	s.say(Reply("334 " + base64.StdEncoding.EncodeToString([]byte(text))))
	line, err := s.readLine(maxAuthLine)
	if err != nil {
		return "", Close()
	}
	if s.srv.cfg.ShowSecrets {
		s.emit(Command, line)
	} else {
		s.emit(Command, "***")
	}
	if line == "*" {
		return "", s.ok("501 5.7.0 Authentication cancelled")
	}
	return s.decode(line)
}

func (s *session) decode(word string) (string, *Action) {
	if word == "=" {
		return "", nil
	}
	b, err := base64.StdEncoding.DecodeString(word)
	if err != nil {
		return "", s.ok("501 5.5.2 Error: bad base64")
	}
	return string(b), nil
}

// bearer reads the user and token of XOAUTH2 and OAUTHBEARER (RFC 7628).
func bearer(response string) (user, token string) {
	for part := range strings.SplitSeq(response, "\x01") {
		if rest, ok := strings.CutPrefix(part, "user="); ok {
			user = rest
		}
		if rest, ok := cutPrefixFold(part, "auth=Bearer "); ok {
			token = rest
		}
		if header, ok := strings.CutPrefix(part, "n,"); ok {
			user = strings.TrimSuffix(strings.TrimPrefix(header, "a="), ",")
		}
	}
	return user, token
}

// knows tells whether the secret is the user's.
func (s *Server) knows(user, secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	want, ok := s.users[user]
	return ok && user != "" && want == secret
}
