//go:build !linux

package redisstore_test

import "errors"

func startRedis() (url string, stop func() error, err error) {
	return "", nil, errors.New("the tests start Redis on Linux only; elsewhere set REDIS_URL")
}
