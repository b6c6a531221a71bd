// Package redisstore keeps in Redis, or what speaks like it, what limiters of
// several processes share, so that together they stay within one limit:
//
//	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
//	store := redisstore.New(rdb, redisstore.Options{})
//	limiter := smtpretry.NewLimiter(smtpretry.Limit{Rate: smtpretry.PerSecond(14)})
//	err := limiter.Share(store, smtpretry.ShareOptions{})
//	client, err := smtpretry.New(smtpretry.Config{Limiter: limiter, ...})
//
// There is one key for each host. It is changed if nobody else has meanwhile, else
// looked at again: two round trips. The time is the server's. Redis confirms before
// it has written to disk or to a replica, so a crash or a failover may forget what was
// sent in the last moments. Rates do not suffer once a process asks that has missed
// the server, or was told more before: it takes for used what the server says was saved.
// A quota is short of those messages, or of all where the server keeps nothing on disk.
// Keys must not be evicted (maxmemory-policy noeviction).
package redisstore
