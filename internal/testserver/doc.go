// Package testserver is a scripted SMTP and LMTP server for tests, examples
// and benchmarks. Left alone it is a correct server that accepts everything;
// a [Config] gives it a provider's limits ([Limits]), TLS and AUTH, and a
// [Script] makes it say or do anything at any stage of any session. It keeps
// what it accepted, for whom, when and over what kind of connection.
//
//	srv := testserver.Start(t, testserver.Config{Script: testserver.Script{
//		testserver.On(testserver.Mail, testserver.Reply("421 4.7.0 slow down").ThenClose()).Times(2),
//	}})
//	// connect with srv.Dial, send, then look at srv.Messages() and srv.Stats()
//
// [Start] serves over a network in memory ([memnet]), so that the server runs
// inside a testing/synctest bubble; [Listen] serves over TCP. Every goroutine
// of a server has ended when [Server.Close] returns.
package testserver
