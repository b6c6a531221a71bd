// Package pgstore keeps in a PostgreSQL table what limiters of several processes
// share, so that together they stay within one limit:
//
//	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
//	store, err := pgstore.New(ctx, pool, pgstore.Options{})
//	limiter := smtpretry.NewLimiter(smtpretry.Limit{Rate: smtpretry.PerSecond(14)})
//	err = limiter.Share(store, smtpretry.ShareOptions{})
//	client, err := smtpretry.New(smtpretry.Config{Limiter: limiter, ...})
//
// There is one row for each host, which is locked while a process looks at it and
// changes it: two round trips. The time is the database's.
package pgstore
