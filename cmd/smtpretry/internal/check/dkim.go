package check

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/smtpretry/smtpretry/cmd/smtpretry/internal/ui"
)

const (
	minRSA  = 1024 // bits that verifiers want at least (RFC 8301 section 3.2)
	goodRSA = 2048 // bits that signers should have

	// maxSignatures is how many of one message are verified.
	maxSignatures = 10
)

// checkKey looks at the record of a selector (RFC 6376 section 3.6.1); s.About
// is its name.
func (c *checker) checkKey(ctx context.Context, s *Step) {
	all, err := c.dns.LookupTXT(ctx, s.About)
	switch {
	case err != nil && !notFound(err):
		s.failedLookup(err)
		return
	case len(all) == 0:
		s.fault("missing", "there is no such record").
			advise("Publish the public key that belongs to the signing key as a TXT record of that name, or sign with a selector that has one.")
		return
	case len(all) > 1:
		s.fault("several-records", "there are %d TXT records, and which one counts is not defined", len(all)).
			advise("Leave the one with the key of today.")
		return
	}
	tags, err := tagList(all[0])
	if err != nil {
		s.fault("broken", "the record cannot be read: %s", err).advise("Correct it: tag=value, parted by semicolons.")
		return
	}
	if v, ok := tags["v"]; ok && v != "DKIM1" {
		s.fault("broken", "v=%s, where only DKIM1 counts", v).advise("Begin the record with v=DKIM1;.")
		return
	}
	p, ok := tags["p"]
	if !ok {
		s.fault("broken", "the record has no p=, the key").advise("Publish the public key in p=.")
		return
	}
	if p == "" {
		s.fault("revoked", "the key is revoked (p= is empty)").
			advise("Sign with the selector that took its place: signatures with this one count for nothing.")
		return
	}
	bits, kind, err := publicKey(tags["k"], p)
	switch {
	case err != nil:
		s.fault("broken", "the key cannot be read: %s", err).advise("Publish the key anew, whole and in base64; long ones are often cut short in a DNS form.")
		return
	case !allows(tags, "h", "sha256"):
		s.fault("broken", "h=%s does not allow sha256, and no other hash counts today", tags["h"]).advise("Take h= out of the record.")
		return
	case !allows(tags, "s", "email") && !allows(tags, "s", "*"):
		s.fault("broken", "s=%s does not allow mail", tags["s"]).advise("Take s= out of the record.")
		return
	case kind == "rsa" && bits < minRSA:
		s.fault("weak-key", "RSA with %d bits: verifiers take no key below %d", bits, minRSA).advise("Make a new key with %d bits, under a new selector.", goodRSA)
		return
	case kind == "rsa" && bits < goodRSA:
		s.warn("short-key", "RSA with %d bits: %d are asked for today", bits, goodRSA).advise("Make a new key with %d bits, under a new selector.", goodRSA)
		return
	case slices.Contains(strings.Split(tags["t"], ":"), "y"):
		s.note("testing", "%s with %d bits, marked as a test (t=y)", strings.ToUpper(kind), bits).advise("Take t=y out once signatures verify.")
		return
	}
	s.ok("%s with %d bits", strings.ToUpper(kind), bits)
}

// tagList reads tag=value pairs (RFC 6376 section 3.2), without white space.
func tagList(record string) (map[string]string, error) {
	tags := map[string]string{}
	for _, part := range strings.Split(record, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is no tag", ui.Line(part))
		}
		if _, twice := tags[name]; twice {
			return nil, fmt.Errorf("%q stands twice", ui.Line(name))
		}
		tags[name] = strings.Join(strings.Fields(value), "")
	}
	return tags, nil
}

// allows says whether a list parted by colons, if there is one, has a word.
func allows(tags map[string]string, tag, word string) bool {
	list, ok := tags[tag]
	return !ok || slices.Contains(strings.Split(list, ":"), word)
}

func publicKey(kind, p string) (bits int, name string, err error) {
	der, err := base64.StdEncoding.DecodeString(p)
	if err != nil {
		return 0, "", err
	}
	switch kind {
	case "", "rsa":
		key, err := x509.ParsePKIXPublicKey(der)
		if err != nil {
			// RFC 6376 erratum 3017: some publish the bare key.
			if key, err = x509.ParsePKCS1PublicKey(der); err != nil {
				return 0, "", err
			}
		}
		if k, ok := key.(*rsa.PublicKey); ok {
			return k.N.BitLen(), "rsa", nil
		}
		return 0, "", errors.New("it is no RSA key")
	case "ed25519":
		if len(der) != ed25519.PublicKeySize {
			return 0, "", fmt.Errorf("it has %d octets, not %d", len(der), ed25519.PublicKeySize)
		}
		return 256, kind, nil
	}
	return 0, "", fmt.Errorf("k=%s is no kind of key that is in use", ui.Line(kind))
}

// A signed is what a signature names: its domain and the record with its key.
type signed struct{ domain, key string }

// signatures finds those of the message, in their order.
func signatures(message []byte) []signed {
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		return nil
	}
	var list []signed
	for _, field := range m.Header["Dkim-Signature"] {
		tags, _ := tagList(field)
		list = append(list, signed{strings.ToLower(tags["d"]), tags["s"] + "._domainkey." + strings.ToLower(tags["d"])})
	}
	return list[:min(len(list), maxSignatures)]
}

// dkim looks at the keys of the selectors and of the message's signatures, then
// at these.
func (c *checker) dkim(ctx context.Context, from, blocked string) []Step {
	var names []string
	for _, selector := range c.Selector {
		names = append(names, selector+"._domainkey."+from)
	}
	list := signatures(c.Message)
	for _, sig := range list {
		if !slices.Contains(names, sig.key) {
			names = append(names, sig.key)
		}
	}
	if len(names) == 0 && c.Message == nil {
		return []Step{skipped(StepDKIM, from, "selectors cannot be listed: name the one you sign with (--selector), or a signed message (--message)")}
	}
	var p parts
	for _, name := range names {
		p.step(blocked, StepDKIM, name, func(s *Step) { c.checkKey(ctx, s) })
	}
	keys := p.wait()
	if c.Message == nil {
		return keys
	}
	return append(keys, c.checkSignatures(ctx, list, keys)...)
}

// checkSignatures verifies those of the message whose keys are in order.
func (c *checker) checkSignatures(ctx context.Context, list []signed, keys []Step) []Step {
	one := func(about string, f func(*Step)) []Step { return []Step{timed(StepSignature, about, f)} }
	if len(list) == 0 {
		c.signed.keep(authentic{known: true})
		return one("the message", func(s *Step) {
			s.fault("unsigned", "the message has no DKIM signature").
				advise("Have the program or the server that sends it sign it. Large providers want it of everybody who sends much.")
		})
	}
	// As it goes over the wire: a file often has bare line feeds.
	message := bytes.ReplaceAll(bytes.ReplaceAll(c.Message, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	start := time.Now()
	verified, err := dkim.VerifyWithOptions(bytes.NewReader(message), &dkim.VerifyOptions{
		LookupTXT:        func(name string) ([]string, error) { return c.dns.LookupTXT(ctx, name) },
		MaxVerifications: maxSignatures,
	})
	if len(verified) != len(list) {
		return one("the message", func(s *Step) {
			s.fault("broken", "the signatures cannot be read: %s", reason(err)).advise("The message must begin with its header, as it is sent.")
		})
	}
	found := authentic{known: true}
	var steps []Step
	for i, v := range verified {
		key := slices.IndexFunc(keys, func(s Step) bool { return s.About == list[i].key })
		if key >= 0 && (keys[key].Result == Fault || keys[key].Result == Skipped) {
			found.known = found.known && !keys[key].Temporary && keys[key].Result == Fault
			steps = append(steps, skipped(StepSignature, list[i].domain, because(StepDKIM)))
			continue
		}
		s := one(list[i].domain, func(s *Step) {
			if v.Err == nil {
				found.domains = append(found.domains, strings.ToLower(v.Domain))
				s.ok("valid; it covers %s", oneOf(v.HeaderKeys))
				return
			}
			if dkim.IsTempFail(v.Err) {
				found.known = false
				s.failedLookup(v.Err)
				return
			}
			s.fault("invalid", "not valid: %s", strings.TrimPrefix(v.Err.Error(), "dkim: ")).
				advise("Look whether the key in DNS belongs to the one that signs, and whether something changes the message after it was signed (a footer, a mailing list, a virus scanner).")
		})
		s[0].Took = time.Since(start)
		steps = append(steps, s...)
	}
	c.signed.keep(found)
	return steps
}
