package statuspage

import "time"

// What the tests need to see of the inside.
var (
	Span    = span
	PerTime = perTime
	Octets  = octets
	Number  = number
)

// Window is how long attempts are remembered.
const Window = window * time.Second
