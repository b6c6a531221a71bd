// Command smtpretry explains what mail servers say, checks what is between a
// program and a mail server, sends mail, and plays a mail server.
package main

import "github.com/smtpretry/smtpretry"

func main() { _ = smtpretry.Limit{} }
