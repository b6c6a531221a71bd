// Package realservers runs the mail servers that are out there, Postfix with
// postgrey, Exim, OpenSMTPD and Postfix's smtp-sink, for tests that want
// another's word than a fake server's; and PostgreSQL, for those that keep mail in
// it.
//
// It needs Linux with apt, dpkg-deb and root. The Debian packages are
// downloaded and unpacked into the user's cache folder, never installed; of
// what they depend on, apt installs the shared libraries and perl modules that
// are missing, and the users that the servers switch to are created. No mail
// setup of the machine is touched, and mail that is accepted goes nowhere.
//
// Each [Server] has a private temporary folder with its configuration, queue
// and log, and an address of its own in 127.0.0.0/8, so that several of one
// kind can run beside each other, in one program or in several. Limits are
// kept for each listener and client address; tests that would meet in them
// use different source addresses.
//
// Nothing outlives the program. The servers run in the foreground below a
// guard, which is the same program started again: it adopts whatever they
// leave behind, watches a pipe to the program, and when that is closed, by
// [Server.Close] or by the program's end of any kind, it ends them all and
// removes the folder.
//
//	go run ./internal/realservers/servers
//
// starts them all and prints what each listener does.
package realservers
