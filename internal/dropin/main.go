//go:debug x509usefallbackroots=1

// Dropin is a collection of small programs that send mail as the documentation
// of go-smtp's client says. Built as it is, they use that client; built with the
// tag wrap or dialer, the same source uses smtpretry's. Only client_*.go and
// config.go differ. The test compares what a server gets from each.
//
//	dropin PROGRAM ADDR
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"syscall"

	"github.com/emersion/go-smtp"
)

// programs are told where the server is.
var programs = map[string]func(addr string) error{
	"newsletter": newsletter, "one-letter": oneLetter, "international": international,
	"one": sendToOne, "three": sendToThree, "same-twice": sendTwiceToOne, "nobody": sendToNobody,
	"bad-address": sendToBadAddress, "too-much": sendTooMuch, "bare-cr": sendBareCR, "broken": sendBroken,
	"go-on": goOn, "print-error": printError,
	"by-hand": byHand, "out-of-order": outOfOrder, "refused-by-hand": refusedByHand, "just-quit": justQuit,
	"noop-twice": noopTwice, "unfinished": unfinished, "after-close": afterClose, "optional": optional,
	"bodies": bodies, "large": large,
	"auth-plain": authPlain, "auth-login": authLogin, "auth-bearer": authBearer, "auth-twice": authTwice, "auth-not": authNot,
	"starttls": startTLS, "starttls-named": startTLSNamed, "implicit-tls": implicitTLS,
	"one-shot": oneShot, "one-shot-tls": oneShotTLS,
	"features": features, "debugged": debugged, "impatient": impatient, "impatient-sending": impatientSending,
	"local": local, "local-refused": localRefused,
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 || programs[os.Args[1]] == nil {
		log.Fatal("usage: dropin PROGRAM ADDR")
	}
	if file := os.Getenv("DROPIN_ROOTS"); file != "" { // as if the system trusted the server
		pem, err := os.ReadFile(file)
		if err != nil {
			log.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		x509.SetFallbackRoots(roots)
	}
	if err := programs[os.Args[1]](os.Args[2]); err != nil {
		fmt.Println("failed:", meaning(err))
		os.Exit(1)
	}
}

// show prints an error with its type, as the methods from Mail to Quit give it.
func show(what string, err error) {
	if isLost(err) {
		fmt.Println(what+":", meaning(err))
		return
	}
	fmt.Printf("%s: %T %v\n", what, err, err)
}

// tell prints what a program can learn from an error without reading its text.
func tell(what string, err error) { fmt.Println(what+":", meaning(err)) }

func meaning(err error) string {
	var each smtp.LMTPDataError
	var reply *smtp.SMTPError
	var cert *tls.CertificateVerificationError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &each):
		return fmt.Sprintf("for each of %d: %v", len(each), each)
	case errors.As(err, &reply):
		return fmt.Sprintf("%d %v %q, temporary %v", reply.Code, reply.EnhancedCode, reply.Message, reply.Temporary())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case isLost(err):
		return "connection lost"
	case errors.As(err, &cert):
		return "certificate refused"
	}
	return err.Error()
}

// isLost says whether the server is gone. Which of the errors it is depends
// on the moment.
func isLost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}
