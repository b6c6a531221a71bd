package letter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-message/mail"
)

// Addresses reads a list of addresses as people write them: "Ada <ada@example.org>,
// bob". Those without a domain get the one given, if it is not empty.
func Addresses(list, domain string) ([]string, error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	var out []string
	if parsed, err := mail.ParseAddressList(list); err == nil {
		for _, a := range parsed {
			out = append(out, a.Address)
		}
		return out, nil
	}
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		if parsed, err := mail.ParseAddress(part); err == nil {
			out = append(out, parsed.Address)
			continue
		}
		local := strings.TrimSuffix(strings.TrimPrefix(part, "<"), ">")
		if local == "" || domain == "" || strings.ContainsAny(local, " \t<>@()[]\\:;\"\r\n") {
			return nil, fmt.Errorf("%q is not an address", part)
		}
		out = append(out, local+"@"+domain)
	}
	return out, nil
}

// fieldAddresses reads all fields of a name; one that is missing has none.
func fieldAddresses(h mail.Header, key, domain string) (all []string, err error) {
	for _, value := range h.Values(key) {
		list, err := Addresses(value, domain)
		if err != nil {
			return nil, fmt.Errorf("the %s field: %w", key, err)
		}
		all = append(all, list...)
	}
	return all, nil
}

// distinct drops addresses that stand twice. Case counts in the local part only.
func distinct(list []string) []string {
	fold := func(address string) string {
		at := strings.LastIndexByte(address, '@')
		return address[:at+1] + strings.ToLower(address[at+1:])
	}
	var out []string
	for _, a := range list {
		if !slices.ContainsFunc(out, func(b string) bool { return fold(a) == fold(b) }) {
			out = append(out, a)
		}
	}
	return out
}
