package smtpretry

import "strings"

// The limits that servers announce (RFC 9422, RFC 1870).

// ehloLimits is what a server says in its reply to EHLO that it will take at
// most. In each field 0 means that it says nothing.
type ehloLimits struct {
	mails   int   // transactions on this connection, failed ones included
	rcpts   int   // recipients in one transaction, refused ones included
	domains int   // different domains of recipients on this connection
	size    int64 // octets of a message
}

// readAnnounced reads the parameters of LIMITS. A limit that is not known, or
// whose value is not a number above zero of at most six digits, is passed
// over; of one that stands twice the stricter counts.
func readAnnounced(params string) (a ehloLimits) {
	for param := range strings.FieldsSeq(params) {
		name, value, _ := strings.Cut(param, "=")
		n := announcedValue(value)
		var field *int
		switch strings.ToUpper(name) {
		case "MAILMAX":
			field = &a.mails
		case "RCPTMAX":
			field = &a.rcpts
		case "RCPTDOMAINMAX":
			field = &a.domains
		default:
			continue
		}
		if n > 0 && (*field == 0 || n < *field) {
			*field = n
		}
	}
	return a
}

func announcedValue(digits string) (n int) {
	if len(digits) > 6 {
		return 0
	}
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// limit returns what the host is sent at most if its other connections are
// told the same.
func (a ehloLimits) limit() Limit { return Limit{PerConn: a.mails, PerMessage: a.rcpts} }

// errDomains ends a connection, and costs nothing.
var errDomains = &fault{rule: "domains-announced", class: Temporary, cause: CauseNetwork, scope: ScopeConnection,
	msg: "the server takes recipients of no further domain on this connection (RCPTDOMAINMAX)"}

// fits returns how many of the recipients may be offered in the next
// transaction; 0 if another connection is needed first.
func (cn *conn) fits(e *envelope) int {
	_, params := cn.smtp.Extension("LIMITS")
	cn.announced = readAnnounced(params)
	if size, ok := cn.smtp.MaxMessageSize(); ok && size > 0 {
		cn.announced.size = int64(size)
	}
	if cn.trusted() {
		e.client.pool.announce(cn.announced)
	}
	n := len(e.rcpts)
	if most := cn.announced.rcpts; most > 0 {
		n = min(n, most)
	}
	most := cn.announced.domains
	if most == 0 || !e.client.canDial() {
		return n
	}
	if cn.domains == nil {
		cn.domains = make(map[string]bool)
	}
	for i, r := range e.rcpts[:n] {
		d := addressDomain(r.addr)
		if !cn.domains[d] && len(cn.domains) >= most {
			return i
		}
		cn.domains[d] = true
	}
	return n
}

// trusted says whether the whole host may be known by what this connection is
// told. In clear text, where the server offers TLS, anybody on the way could
// have said it; then it holds for this connection only.
func (cn *conn) trusted() bool {
	encrypted := cn.wire != nil && cn.wire.tls != nil
	if cn.wire == nil {
		_, encrypted = cn.smtp.TLSConnectionState()
	}
	offered, _ := cn.smtp.Extension("STARTTLS")
	return encrypted || !offered
}
