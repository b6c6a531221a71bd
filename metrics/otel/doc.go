// Package otel is yet to be written.
package otel

import _ "github.com/smtpretry/smtpretry"
