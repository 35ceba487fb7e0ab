package vault

import (
	"bytes"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
// open it: {"schema":1,"sequence":7,"mac":"…","contents":{…}}. The MAC is over
// the bytes of contents as they stand there.
type header struct {
	Schema   int    `json:"schema"`
	Sequence uint64 `json:"sequence"`
	MAC      []byte `json:"mac,omitempty"`
}

// middle joins header and contents. A header holds only numbers and base64, so
// its first occurrence is the one.
const middle = `,"contents":`

// writeSealed writes the document sealed to a recipient.
func writeSealed(w io.Writer, to age.Recipient, h header, contents []byte) error {
	head, err := json.Marshal(h)
	if err != nil {
		return err
	}
	sealed, err := age.Encrypt(w, to)
	if err != nil {
		return err
	}
	for _, part := range [][]byte{head[:len(head)-1], []byte(middle), contents, []byte("}\n")} {
		if _, err := sealed.Write(part); err != nil {
			return err
		}
	}
	return sealed.Close()
}

// readSealed opens it again; size is about that of r. Errors are
// *age.NoIdentityMatchError, ErrCorrupt, or a schema that we don't know.
func readSealed(r io.Reader, by age.Identity, size int64) (h header, contents []byte, err error) {
	clear, err := age.Decrypt(r, by)
	if _, stranger := errors.AsType[*age.NoIdentityMatchError](err); stranger {
		return h, nil, err
	}
	var buf bytes.Buffer
	if err == nil {
		buf.Grow(int(size) + bytes.MinRead)
		_, err = buf.ReadFrom(clear)
	}
	if err != nil {
		return h, nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	head, rest, ok := bytes.Cut(buf.Bytes(), []byte(middle))
	contents, whole := bytes.CutSuffix(rest, []byte("}\n"))
	if !ok || !whole || json.Unmarshal(append(bytes.Clone(head), '}'), &h) != nil {
		return h, nil, fmt.Errorf("%w: no document of ours", ErrCorrupt)
	}
	if h.Schema != schema {
		return h, nil, fmt.Errorf("its schema is %d, this program knows %d: another ccad wrote it", h.Schema, schema)
	}
	return h, contents, nil
}

// seal writes c as a store.
func (m Master) seal(w io.Writer, c *Contents) error {
	contents, err := encodeContents(c)
	if err != nil {
		return err
	}
	h := header{Schema: schema, Sequence: c.Sequence, MAC: m.authenticate(schema, c.Sequence, contents)}
	return writeSealed(w, m.identity.Recipient(), h, contents)
}

// unseal reads a store and believes nothing of it before its MAC is proved.
func (m Master) unseal(f *os.File) (*Contents, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	h, contents, err := readSealed(f, m.identity, info.Size())
	if _, stranger := errors.AsType[*age.NoIdentityMatchError](err); stranger {
		return nil, ErrForeign
	}
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(h.MAC, m.authenticate(h.Schema, h.Sequence, contents)) {
		return nil, ErrForeign
	}
	c, err := decodeContents(contents)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	c.Sequence = h.Sequence
	return c, nil
}
