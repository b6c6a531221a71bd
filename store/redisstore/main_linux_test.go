package redisstore_test

import "github.com/smtpretry/smtpretry/internal/realservers"

// startRedis starts a Redis for this run of the tests. It ends with the test
// program, however that ends.
func startRedis() (url string, stop func() error, err error) {
	s, err := realservers.StartRedis()
	if err != nil {
		return "", nil, err
	}
	return s.RedisURL(), s.Close, nil
}
