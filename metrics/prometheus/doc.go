// Package prometheus is yet to be written.
package prometheus

import _ "github.com/smtpretry/smtpretry"
