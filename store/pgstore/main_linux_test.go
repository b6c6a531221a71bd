package pgstore_test

import "github.com/smtpretry/smtpretry/internal/realservers"

// startPostgres starts a PostgreSQL for this run of the tests. It ends with the
// test program, however that ends.
func startPostgres() (server, error) { return realservers.StartPostgres() }
