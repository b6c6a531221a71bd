package main

import _ "github.com/smtpretry/smtpretry"

func main() {}
