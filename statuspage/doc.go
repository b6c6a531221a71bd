// Package statuspage is yet to be written.
package statuspage

import _ "github.com/smtpretry/smtpretry"
