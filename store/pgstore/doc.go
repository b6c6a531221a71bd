// Package pgstore is yet to be written.
package pgstore

import _ "github.com/smtpretry/smtpretry"
