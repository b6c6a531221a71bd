package smtpretry_test

import (
	"io"
	"reflect"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/smtpretry/smtpretry"
)

// TestDropIn compares the two clients' methods and fields, so that what is
// added upstream is noticed.
func TestDropIn(t *testing.T) {
	theirs, ours := reflect.TypeFor[*smtp.Client](), reflect.TypeFor[*smtpretry.Client]()
	found, all := 0, 0
	for i := range theirs.NumMethod() {
		all++
		m := theirs.Method(i)
		o, ok := ours.MethodByName(m.Name)
		if !ok {
			t.Errorf("method %s is missing", m.Name)
			continue
		}
		if want, got := signature(m.Type), signature(o.Type); want != got {
			t.Errorf("%s is %s, want %s", m.Name, got, want)
			continue
		}
		found++
	}
	for i := range theirs.Elem().NumField() {
		f := theirs.Elem().Field(i)
		if !f.IsExported() {
			continue
		}
		all++
		o, ok := ours.Elem().FieldByName(f.Name)
		if !ok || o.Type != f.Type {
			t.Errorf("field %s %s is missing or another", f.Name, f.Type)
			continue
		}
		found++
	}
	t.Logf("%d of %d methods and fields", found, all)
	if all < 18 {
		t.Errorf("looked at %d methods and fields, want at least the 18 of v0.25", all)
	}
}

// signature is a method's type without its receiver.
func signature(m reflect.Type) string {
	var in, out []reflect.Type
	for i := 1; i < m.NumIn(); i++ {
		in = append(in, m.In(i))
	}
	for i := range m.NumOut() {
		out = append(out, m.Out(i))
	}
	return reflect.FuncOf(in, out, m.IsVariadic()).String()
}

// The package functions have go-smtp's signatures too.
var (
	_ = []func(string, sasl.Client, string, []string, io.Reader) error{smtp.SendMail, smtpretry.SendMail}
	_ = []func(string, sasl.Client, string, []string, io.Reader) error{smtp.SendMailTLS, smtpretry.SendMailTLS}
)
