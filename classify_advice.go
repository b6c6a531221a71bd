package smtpretry

// Advice says in a sentence or two what the sender should do: whether waiting
// helps, and what to change. It is meant for the person who runs the sending
// side. The zero Verdict needs no advice and gets none.
func (v Verdict) Advice() string {
	if v == (Verdict{}) {
		return ""
	}
	if v.InDoubt {
		return "The connection broke after the final dot, before the reply: the server may have the message. Find out on the other side before sending it again."
	}
	if v.Rule == "context" {
		return "The sending side stopped this itself: its context was cancelled or its deadline passed. Give it more time if the message should still go out."
	}
	permanent := v.Class == Permanent
	switch v.Cause {
	case CauseOverload:
		if permanent {
			return "The server says that it cannot take mail at all, and gives a final reply. Ask its operator, or try another of the domain's servers; this message must not be sent to this one again unchanged."
		}
		return "The server is busy or has a problem of its own; nothing is wrong with the message. Waiting helps: it is tried again with growing pauses, and the whole host is held back meanwhile."
	case CauseConnectionLimit:
		return "Too many connections, or too much in one of them. Use fewer connections at once and send fewer messages over each; then go on after a short pause. Waiting alone does not help when the same number comes back."
	case CauseRateLimit:
		return adviceOnRate(v.Scope, permanent)
	case CauseReputation:
		return adviceOnReputation(v.Scope)
	case CauseGreylist:
		return "Greylisting: a first contact is put off on purpose. Try again from the same IP address with the same sender and recipient after some minutes; changing any of them starts the wait anew."
	case CauseAuth:
		if permanent {
			return "The server refused the login. Check user name, password or token, and the mechanism; do not try again before they are changed, since repeated failures lock accounts."
		}
		return "The server does not take logins from this account right now. Pause all sending with it for some minutes, log in once per connection and keep that connection; if it lasts, check the credentials."
	case CauseTLS:
		if permanent {
			return "Encryption is required, or the handshake failed for good. Turn on STARTTLS or implicit TLS on the right port (587, 465), with TLS 1.2 or later, and check the certificate and the server's name."
		}
		return "Encryption is required or does not work at present. Send over TLS if this side does not; if it does, the server's TLS is out of order and the next attempt may succeed."
	case CauseSenderPolicy:
		if v.Scope == ScopeHost {
			return "The sending machine's names are not in order: give its IP address a PTR record that resolves back to the address, and say EHLO with that name. Waiting does not help before DNS is mended."
		}
		return "The sending domain fails SPF, DKIM or DMARC. Publish records that cover this server, sign with the domain of the From header, and send again once DNS shows them; waiting alone does not help."
	case CauseContent:
		return "The content was refused: spam, a virus, a link or an attachment. Sending it again unchanged only harms the standing of the sender; change the message, or ask the recipient's postmaster about a wrong judgement."
	case CauseSize:
		return "The message is larger than this server takes. Send a smaller one, or a link in place of the attachment; waiting does not help. The server may announce its limit as SIZE in its EHLO reply."
	case CauseMailboxFull:
		if permanent {
			return "The recipient's mailbox is full, and the server will not keep trying. Reach the recipient another way, and send again when there is room."
		}
		return "The recipient's mailbox is full. Later attempts succeed once there is room, which may take days; other recipients are not affected."
	case CauseBadRecipient:
		if permanent {
			return "The recipient's address does not exist or takes no mail. Correct it or take it off the list; further attempts harm the sender's standing."
		}
		return "The recipient's address cannot be delivered to at present. A few later attempts are worth it; if they fail too, check the address."
	case CauseTooManyRecipients:
		return "Too many recipients in one transaction. Those already accepted are fine; offer the rest in further transactions with fewer recipients each, at once. There is no need to wait."
	case CauseBadSender:
		if v.Scope == ScopeRecipient {
			return "This recipient does not take mail from this sender. Ask the recipient to allow the address; other recipients are not affected, and waiting does not help."
		}
		return "The sender address was refused: it must exist, its domain must have an MX or address record, and the login must be allowed to use it. Correct MAIL FROM, then send again."
	case CauseRelayDenied:
		if v.Scope == ScopeAccount {
			return "The relay service does not know this sender. Register the sending IP address or domain with it, or log in; waiting does not help."
		}
		return "This server does not take mail for that domain from here. Log in if it is your own relay; otherwise the domain's MX record or the route points to the wrong server."
	case CauseProtocol:
		return adviceOnProtocol(v)
	case CauseDNS:
		if v.Code == 0 && permanent {
			return "There is no such host. Check the server's name in the configuration for spelling."
		}
		if v.Code == 0 {
			return "The server's name could not be looked up just now. It is tried again; if it lasts, check this machine's resolver."
		}
		return "The server could not look up a name: the sender's domain, or this machine's address. It is tried again; if it lasts, check that the domain's name servers answer from outside."
	case CauseNetwork:
		return adviceOnNetwork(v)
	case CauseLoop:
		return "The message goes round in circles between servers. Mend the forwarding or the MX record that sends it back; sending it again does not help."
	}
	if permanent {
		return "The server refused without a reason that could be read. Do not send the same again; ask the postmaster there, and quote the reply."
	}
	if v.Code == 0 {
		return "The attempt failed for a reason that is no reply of the server and is not known here; see the error itself. It may be tried again."
	}
	return "The server put this off without a reason that could be read. It is tried again later; if it lasts, ask the postmaster there, and quote the reply."
}

func adviceOnRate(scope Scope, permanent bool) string {
	s := "More mail per time than this server allows to "
	switch scope {
	case ScopeAccount:
		s = "This login has sent what it may for now. Hold everything it sends: a rate comes back within seconds or minutes, a daily quota within 24 hours. To send more, spread the mail over time or ask for a higher limit."
		if permanent {
			s += " The server calls this refusal final: do not repeat it before the quota is back."
		}
		return s
	case ScopeRecipient:
		s = "This recipient is getting more mail than the server allows. Wait some minutes to an hour and send to this address more slowly; others are not affected."
	case ScopeSender:
		s += "this sender address or domain. Slow down for it and spread the mail over time."
	default:
		s += "this IP address. Lower the rate for the whole host and stay below the limit; the pace rises again slowly."
	}
	if permanent {
		s += " The server calls this refusal final: these messages must not be repeated unchanged at this pace."
	}
	return s
}

func adviceOnReputation(scope Scope) string {
	switch scope {
	case ScopeSender:
		return "The sender's address or domain is blocked or in bad standing. Waiting alone does not cure it: follow the link in the reply, have the domain delisted, and find out what earned the complaints."
	case ScopeAccount:
		return "This login is blocked, mostly for suspected abuse. Stop sending with it, check whether it was broken into, change its password, and ask the provider to open it again."
	}
	return "The sending IP address is blocked, listed or in bad standing. Waiting alone does not cure it: look the address up in the block list that the reply names, ask for delisting, and send less and cleaner mail meanwhile."
}

func adviceOnProtocol(v Verdict) string {
	if v.Code == 0 && (v.Stage == StageDial || v.Stage == StageGreeting) {
		return "What answers there does not speak SMTP. Check host and port: 25, 465 (TLS from the start) or 587 (STARTTLS)."
	}
	switch v.Scope {
	case ScopeHost:
		return "The server refused the greeting. Say EHLO with the full name of this machine; waiting does not help."
	case ScopeConnection:
		return "The two sides did not understand each other on this connection; it is closed. A new connection may work; if not, check port, TLS mode and mechanisms."
	}
	return "The server refused a command or the format of the message (headers, line ends, line length, 8-bit text). Correct that before sending again; waiting does not help."
}

func adviceOnNetwork(v Verdict) string {
	switch {
	case v.Code != 0 && v.Scope == ScopeConnection:
		return "The server says that the connection was idle or too slow. It is tried again over a new connection; check the link and the time limits if it lasts."
	case v.Class == Permanent:
		return "The server's network address cannot be used. Write it as host:port."
	case v.Scope == ScopeHost:
		return "The server cannot be reached. It is tried again; if it lasts, check host name, port and firewall. Many networks block port 25 outwards."
	}
	return "The connection broke or timed out before the message was accepted. It is tried again over a new connection; if it lasts, check the network between here and the server."
}
