package vault

import (
	"bytes"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"filippo.io/age"
)

// What keeps a store from being opened. It is refused and kept as it is, never
// treated as empty.
var (
	ErrCorrupt = errors.New("damaged")
	ErrForeign = errors.New("not written by this keyring")
	ErrOlder   = errors.New("older than one seen before")
	ErrMissing = errors.New("missing")
)

// The plaintext of a store is one JSON document, so that age and any JSON tool
// open it: {"schema":1,"sequence":7,"contents":{…},"mac":"…"}. The MAC is over
// the bytes of contents as they stand there.
type header struct {
	Schema   int    `json:"schema"`
	Sequence uint64 `json:"sequence"`
}

// What stands before the contents and before the MAC: the first and the last of
// their kind, for a header is numbers and a MAC is base64.
const (
	beforeContents = `,"contents":`
	beforeMAC      = `,"mac":`
)

// writeSealed writes the document sealed to a recipient. fill writes the
// contents and returns their MAC, if they have one.
func writeSealed(w io.Writer, to age.Recipient, h header, fill func(io.Writer) (mac []byte, err error)) error {
	head, err := json.Marshal(h)
	if err != nil {
		return err
	}
	sealed, err := age.Encrypt(w, to)
	if err != nil {
		return err
	}
	if _, err := sealed.Write(append(head[:len(head)-1], beforeContents...)); err != nil {
		return err
	}
	mac, err := fill(sealed)
	if err != nil {
		return err
	}
	tail, err := json.Marshal(mac)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(sealed, "%s%s}\n", beforeMAC, tail); err != nil {
		return err
	}
	return sealed.Close()
}

// A document is what readSealed found, none of it proved.
type document struct {
	header
	contents []byte
	mac      []byte
}

// readSealed opens it again; size is about that of r. Errors are
// *age.NoIdentityMatchError, ErrCorrupt, the disk's, or a schema that we don't
// know.
func readSealed(r io.Reader, by age.Identity, size int64) (d document, err error) {
	clear, err := age.Decrypt(r, by)
	if _, stranger := errors.AsType[*age.NoIdentityMatchError](err); stranger {
		return d, err
	}
	var buf bytes.Buffer
	if err == nil {
		buf.Grow(int(size) + bytes.MinRead)
		_, err = buf.ReadFrom(clear)
	}
	if disk, failed := errors.AsType[*fs.PathError](err); failed {
		return d, disk
	}
	if err != nil { // what age says of it shows what stands there
		return d, fmt.Errorf("%w: age did not write it, or not all of it is there", ErrCorrupt)
	}
	head, rest, begins := bytes.Cut(buf.Bytes(), []byte(beforeContents))
	end := bytes.LastIndex(rest, []byte(beforeMAC))
	if !begins || end < 0 || json.Unmarshal(append(bytes.Clone(head), '}'), &d.header) != nil {
		return d, fmt.Errorf("%w: no document of ours", ErrCorrupt)
	}
	mac, ends := bytes.CutSuffix(rest[end+len(beforeMAC):], []byte("}\n"))
	if !ends || json.Unmarshal(mac, &d.mac) != nil {
		return d, fmt.Errorf("%w: no document of ours", ErrCorrupt)
	}
	if d.Schema < 1 || d.Schema > schema {
		return d, fmt.Errorf("its schema is %d, this program knows up to %d: a newer ccad wrote it", d.Schema, schema)
	}
	d.contents = rest[:end]
	return d, nil
}

// seal writes c as a store.
func (m Master) seal(w io.Writer, c *Contents) error {
	h := header{Schema: schema, Sequence: c.Sequence}
	return writeSealed(w, m.identity.Recipient(), h, func(w io.Writer) ([]byte, error) {
		sum := m.authenticator(h)
		err := encodeContents(io.MultiWriter(w, sum), c)
		return sum.Sum(nil), err
	})
}

// unseal reads a store and believes nothing of it before its MAC is proved.
func (m Master) unseal(f *os.File) (*Contents, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	d, err := readSealed(f, m.identity, info.Size())
	if _, stranger := errors.AsType[*age.NoIdentityMatchError](err); stranger {
		return nil, ErrForeign
	}
	if err != nil {
		return nil, err
	}
	sum := m.authenticator(d.header)
	_, _ = sum.Write(d.contents)
	if !hmac.Equal(d.mac, sum.Sum(nil)) {
		return nil, ErrForeign
	}
	c, err := decodeContents(d.contents)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	c.Sequence = d.Sequence
	return c, nil
}
