package gateway

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strings"
)

// checksums are S3's. Old servers ignore them, and what they would have caught
// is stored; so the gateway checks them itself.
var checksums = map[string]func() hash.Hash{
	"crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"crc32c":    func() hash.Hash { return crc32.New(castagnoli) },
	"crc64nvme": func() hash.Hash { return crc64.New(nvme) },
	"sha1":      sha1.New,
	"sha256":    sha256.New,
	"sha512":    sha512.New,
}

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	nvme       = crc64.MakeTable(0x9a6c9329ac4bc9b5)
)

const checksumPrefix = "x-amz-checksum-"

// A promise is a hash that a client gave of its payload, in a header or, later,
// in a trailer.
type promise struct {
	algorithm string
	hash      hash.Hash
	want      []byte // nil until the trailer has come
}

// newPromise starts a checksum by the header or trailer that carries it.
func newPromise(name string) (*promise, *fault) {
	algorithm := strings.TrimPrefix(strings.ToLower(name), checksumPrefix)
	make, ok := checksums[algorithm]
	if !ok {
		return nil, &fault{http.StatusNotImplemented, "NotImplemented", "the checksum algorithm of the request is not known"}
	}
	return &promise{algorithm: algorithm, hash: make()}, nil
}

// take sets the value that the client gave.
func (p *promise) take(value string) *fault {
	want, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(want) != p.hash.Size() {
		return badRequest("InvalidRequest", "the value of the "+p.algorithm+" checksum is malformed")
	}
	p.want = want
	return nil
}

// kept compares, once the payload has ended.
func (p *promise) kept() *fault {
	switch {
	case p.want == nil:
		return badRequest("MalformedTrailerError", "the "+p.algorithm+" checksum that the request announced did not come")
	case !bytes.Equal(p.want, p.hash.Sum(nil)):
		return badRequest("BadDigest", "the "+p.algorithm+" checksum does not match what was received")
	}
	return nil
}

// promises finds the checksums that the headers promise of the payload, and the
// query of a presigned URL. That of nothing is no promise there: SDKs presign
// without the payload, and some put that checksum in unasked.
func promises(h http.Header, t target) (all []*promise, f *fault) {
	add := func(name, value string, presigned bool) {
		if f != nil || !isChecksum(name) {
			return
		}
		var p *promise
		if p, f = newPromise(name); f == nil {
			f = p.take(value)
		}
		if f == nil && (!presigned || p.kept() != nil) {
			all = append(all, p)
		}
	}
	for name, values := range h {
		add(name, values[0], false)
	}
	for _, field := range t.query {
		add(field.name, field.value, true)
	}
	return all, f
}

// isChecksum reports whether a header carries a checksum's value.
func isChecksum(name string) bool {
	if len(name) <= len(checksumPrefix) || !strings.EqualFold(name[:len(checksumPrefix)], checksumPrefix) {
		return false
	}
	switch strings.ToLower(name[len(checksumPrefix):]) {
	case "algorithm", "mode", "type":
		return false
	}
	return true
}
