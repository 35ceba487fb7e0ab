package vault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cloud-ca/ccad/daemon/account"
)

// filled returns Contents in which no field anywhere is zero, so that a field
// that the records forget is noticed.
func filled() *Contents {
	n := 0
	c := &Contents{}
	fill(reflect.ValueOf(c).Elem(), "", &n)
	c.Sequence = 0 // the envelope's
	users, environments := c.Users, c.Environments
	c.Users, c.Environments = map[string]User{}, map[string]Environment{}
	for _, u := range users {
		u.Called = "" // follows from the others
		c.Users[u.ID] = u
	}
	for _, e := range environments {
		c.Environments[e.Name] = e
	}
	return c
}

func fill(v reflect.Value, name string, n *int) {
	*n++
	switch p := v.Addr().Interface().(type) {
	case *account.Secret:
		*p = account.NewSecret(fmt.Sprintf("secret-%d <&>\u2028\"'\\%%$", *n))
		return
	case *time.Time:
		*p = time.Date(2026, 11, 22, 0, 0, *n, *n, time.UTC)
		return
	case *State:
		*p = Active
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("%s-%d", name, *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint64, reflect.Uint32, reflect.Uint8:
		v.SetUint(uint64(*n % 256))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name, n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), name, n)
	case reflect.Map:
		elem := reflect.New(v.Type().Elem()).Elem()
		fill(elem, name, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key"), elem)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), v.Type().Field(i).Name, n)
		}
	default:
		panic("no way to fill a " + v.Kind().String())
	}
}

func encoded(t *testing.T, c *Contents) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := encodeContents(&out, c); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestEveryFieldIsStored(t *testing.T) {
	c := filled()
	back, err := decodeContents(encoded(t, c))
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(c, back); d != "" {
		t.Error(d)
	}
}

// The file is how the schema is written. If this test fails and the change is
// meant, raise the schema and write a new file beside the old one, which must
// still be read.
func TestSchemaIsAsItWas(t *testing.T) {
	file := fmt.Sprintf("testdata/schema-%d.json", schema)
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, append(encoded(t, filled()), '\n'), "", "  "); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("CCAD_TEST_WRITE") == "1" {
		if err := os.WriteFile(file, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(golden, pretty.Bytes()) {
		t.Errorf("the encoding is no longer that of %s:\n%s", file, pretty.Bytes())
	}
}

func TestSecretsComeBackByteForByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := account.NewSecret(string(rapid.SliceOf(rapid.Byte()).Draw(t, "secret")))
		if back := conceal[account.Secret](throughJSON(t, reveal(secret))); back != secret {
			t.Errorf("secret became %q", back.Reveal())
		}
		pair := account.KeyPair{AccessKeyID: "ak", Secret: secret}
		if back := conceal[account.KeyPair](throughJSON(t, reveal(pair))); back != pair {
			t.Errorf("pair became %q", back.Secret.Reveal())
		}
		ac := account.ApplicationCredential{ID: "id", Name: "name", Secret: secret}
		if back := conceal[account.ApplicationCredential](throughJSON(t, reveal(ac))); back != ac {
			t.Errorf("application credential became %q", back.Secret.Reveal())
		}
	})
}

func throughJSON(t *rapid.T, r valueRecord) (back valueRecord) {
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// Nothing but the seal shows a secret, however it is printed.
func TestNothingPrints(t *testing.T) {
	c, m := filled(), testMaster(t)
	var out strings.Builder
	log := slog.New(slog.NewJSONHandler(&out, nil))
	for _, u := range c.Users {
		for _, e := range c.Environments {
			for _, v := range []any{c, *c, u, e, m, &m, u.Passwords, e.Keys} {
				fmt.Fprintf(&out, "%v %+v %#v %s %q %x %d\n", v, v, v, v, v, v, v)
				log.Info("x", "v", v)
				data, _ := json.Marshal(v) // may refuse
				out.Write(data)
			}
		}
	}
	for what, secret := range map[string]string{
		"a secret":       "secret-",
		"a secret in x":  fmt.Sprintf("%x", "secret-"),
		"the identity":   m.identity.String(),
		"the MAC key":    fmt.Sprintf("%x", m.mac),
		"the MAC key %d": fmt.Sprintf("%d", m.mac),
		"the audit key":  fmt.Sprintf("%d", c.AuditKey),
	} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("printing shows %s", what)
		}
	}
	if _, err := json.Marshal(c); err == nil {
		t.Error("contents were encoded implicitly")
	}
}

// What an older ccad wrote is read; what a newer one wrote is not.
func TestOlderSchemasAreRead(t *testing.T) {
	for n := 1; n < schema; n++ {
		data, err := os.ReadFile(fmt.Sprintf("testdata/schema-%d.json", n))
		if err != nil {
			t.Fatal(err)
		}
		c, err := decodeContents(data)
		if err != nil || len(c.Users) != 1 || len(c.Environments) != 1 || len(c.Attempts) != 1 {
			t.Errorf("schema %d: %v, %v", n, c, err)
		}
	}
}
