package gateway

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strconv"
	"strings"
)

// Limits of the aws-chunked encoding. Clients use chunks of 64 KiB to 1 MiB;
// a line holds a size and a signature, or a trailer.
const (
	maxLine     = 1024
	maxTrailers = 8
)

var errChunk = badRequest("InvalidChunk", "the aws-chunked encoding of the payload is broken")

// A chain verifies the signatures of chunks: each covers the one before it, and
// the first the request's own.
type chain struct {
	key      []byte
	stamp    string
	scope    string
	previous []byte
	hash     hash.Hash // of the chunk under way
}

func newChain(c *claim, key []byte) *chain {
	return &chain{key: key, stamp: c.stamp, scope: c.scope, previous: c.signature, hash: sha256.New()}
}

// check compares a chunk's or the trailer's signature with that of what was
// hashed, and starts the next.
func (c *chain) check(kind, before string, signature []byte) bool {
	b := make([]byte, 0, 512)
	b = append(append(append(b, algorithm...), kind...), '\n')
	b = append(append(append(append(b, c.stamp...), '\n'), c.scope...), '\n')
	b = append(hex.AppendEncode(b, c.previous), '\n')
	b = append(b, before...)
	b = hex.AppendEncode(b, c.hash.Sum(nil))
	c.hash.Reset()
	c.previous = signature
	return hmac.Equal(mac(c.key, string(b)), signature)
}

// chunks decodes the aws-chunked encoding. What it yields may still turn out
// wrong at the end: the reader above holds the last byte back until then.
//
//	SIZE[;chunk-signature=HEX] CRLF data CRLF … 0[;…] CRLF [name:value CRLF]… CRLF
type chunks struct {
	in        *bufio.Reader
	chain     *chain // nil: the chunks are not signed
	trailer   bool   // trailers follow the last chunk
	promises  []*promise
	left      int64  // of the chunk under way
	signature []byte // of it
	begun     bool
	err       error // once it has ended
}

func (c *chunks) Read(p []byte) (int, error) {
	for c.left == 0 {
		if c.err == nil {
			c.err = c.next()
		}
		if c.err != nil {
			return 0, c.err
		}
	}
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if c.chain != nil {
		_, _ = c.chain.hash.Write(p[:n])
	}
	if err != nil {
		c.err = cut(err)
		c.left = 0
		return n, c.err
	}
	return n, nil
}

// next ends the chunk under way and begins another; io.EOF after the last.
func (c *chunks) next() error {
	if c.begun {
		if err := c.endChunk(); err != nil {
			return err
		}
	}
	c.begun = true
	line, err := c.line()
	if err != nil {
		return err
	}
	size, extension, _ := strings.Cut(line, ";")
	n, err := strconv.ParseUint(size, 16, 48)
	if err != nil {
		return errChunk
	}
	if c.chain != nil {
		var ok bool
		if c.signature, ok = readSignature(extension, "chunk-signature="); !ok {
			return errChunk
		}
	}
	if n > 0 {
		c.left = int64(n)
		return nil
	}
	if c.chain != nil && !c.chain.check("-PAYLOAD", emptyHash+"\n", c.signature) {
		return errMismatch
	}
	return c.end()
}

// endChunk checks what follows a chunk's data, and its signature.
func (c *chunks) endChunk() error {
	if line, err := c.line(); err != nil {
		return err
	} else if line != "" {
		return errChunk
	}
	if c.chain != nil && !c.chain.check("-PAYLOAD", emptyHash+"\n", c.signature) {
		return errMismatch
	}
	return nil
}

// end reads what follows the last chunk: trailers, an empty line, and nothing.
func (c *chunks) end() error {
	if err := c.trailers(); err != nil {
		return err
	}
	if _, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
		return errChunk
	}
	return io.EOF
}

func (c *chunks) trailers() error {
	sealed := !c.trailer || c.chain == nil
	for range maxTrailers {
		line, err := c.line()
		if err != nil {
			return err
		}
		if line == "" {
			if sealed {
				return nil
			}
			continue // some clients write an empty line before the signature
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		switch {
		case !ok || !c.trailer:
			return errChunk
		case name == "x-amz-trailer-signature" && !sealed:
			signature, ok := readSignature(value, "")
			if !ok || !c.chain.check("-TRAILER", "", signature) {
				return errMismatch
			}
			sealed = true
		case c.chain != nil && sealed:
			return errChunk // behind the signature
		default:
			if f := c.keep(name, value); f != nil {
				return f
			}
		}
	}
	return errChunk
}

// keep takes the value of a checksum that the request announced; nothing else
// comes as a trailer.
func (c *chunks) keep(name, value string) *fault {
	if c.chain != nil {
		_, _ = io.WriteString(c.chain.hash, name+":"+value+"\n")
	}
	for _, p := range c.promises {
		if p.want == nil && name == checksumPrefix+p.algorithm {
			return p.take(value)
		}
	}
	return badRequest("MalformedTrailerError", "the request has a trailer that it did not announce")
}

// line reads up to a line feed and drops the line's end.
func (c *chunks) line() (string, error) {
	b, err := c.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) || len(b) > maxLine {
		return "", errChunk
	}
	if err != nil {
		return "", cut(err)
	}
	return strings.TrimSuffix(string(b[:len(b)-1]), "\r"), nil
}

func readSignature(s, prefix string) ([]byte, bool) {
	s, ok := strings.CutPrefix(s, prefix)
	if !ok || len(s) != 2*sha256.Size {
		return nil, false
	}
	b, err := hex.DecodeString(s)
	return b, err == nil
}

// cut turns the end of a stream that should have gone on into a fault.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCut
	}
	return err
}
