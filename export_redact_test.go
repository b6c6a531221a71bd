package smtpretry

// Redact is redact.
func Redact(text string, lines []string) string { return redact(text, lines) }
