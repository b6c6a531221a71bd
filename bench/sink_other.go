//go:build !linux

package main

func startSink() (realSink, error)    { return nil, errNoPostfix }
func postfixVersion() (string, error) { return "", errNoPostfix }
