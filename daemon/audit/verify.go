package audit

import (
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
)

// How a trail can be broken. The error that Trail.Verify returns is one of them and
// names the line.
var (
	ErrAltered   = errors.New("altered")                   // the line isn't what was written there
	ErrMissing   = errors.New("missing")                   // lines before others are gone
	ErrTruncated = errors.New("cut off at the end")        // lines that the checkpoint knows are gone
	ErrTorn      = errors.New("half a line, never ended")  // a crash, or somebody's scissors
	ErrRepeated  = errors.New("there already, or earlier") // a line is there twice, or moved
)

// Verify proves the trail as it stands, up to the entry appended last. It may be
// written to meanwhile.
func (t *Trail) Verify() (lines uint64, err error) {
	if t.isClosed() {
		return 0, ErrClosed
	}
	s, err := t.flush()
	if err != nil {
		return 0, err
	}
	n, err := verify(io.NewSectionReader(s.file, 0, s.end), t.key, s.head)
	if err != nil {
		return n, fmt.Errorf("audit trail %s: %w", t.path, err)
	}
	return n, nil
}

func verify(r io.Reader, key []byte, head Head) (good uint64, err error) {
	var previous []byte
	for line, err := range lines(r) {
		if err != nil {
			return good, fmt.Errorf("line %d: %w", good+1, err)
		}
		e, err := parse(line)
		body, mac, _ := split(line)
		switch n := good + 1; {
		case err != nil:
			return good, fmt.Errorf("line %d: %w", n, ErrAltered)
		case hmac.Equal(mac, chain(key, previous, body)) && e.Line == n:
		case e.Line == n+1:
			return good, fmt.Errorf("line %d: %w", n, ErrMissing)
		case e.Line > n:
			return good, fmt.Errorf("lines %d to %d: %w", n, e.Line-1, ErrMissing)
		case e.Line < n:
			return good, fmt.Errorf("line %d, where line %d should be: %w", e.Line, n, ErrRepeated)
		default:
			return good, fmt.Errorf("line %d: %w", n, ErrAltered)
		}
		if e.Line == head.Line && !hmac.Equal(mac, head.MAC) {
			return good, fmt.Errorf("line %d: %w: the checkpoint knows another", e.Line, ErrAltered)
		}
		good, previous = good+1, mac
	}
	if good < head.Line {
		return good, fmt.Errorf("lines %d to %d: %w", good+1, head.Line, ErrTruncated)
	}
	return good, nil
}
