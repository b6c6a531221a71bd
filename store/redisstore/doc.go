// Package redisstore is yet to be written.
package redisstore

import _ "github.com/smtpretry/smtpretry"
