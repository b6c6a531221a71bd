package smtpretry

// ReadAnnounced gives what the parameters of LIMITS announce: messages and
// domains on a connection, recipients in a transaction.
func ReadAnnounced(params string) (mails, rcpts, domains int) {
	a := readAnnounced(params)
	return a.mails, a.rcpts, a.domains
}
