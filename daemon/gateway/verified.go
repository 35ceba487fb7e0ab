package gateway

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
)

// verified reads a payload: decoded, hashed and counted. Its last byte is held
// back until all that can be checked has been; a server that was told the
// length therefore never has a whole object that is wrong. What is wrong fails
// the read, which makes the transport cut the upload off.
type verified struct {
	src      io.Reader
	length   int64 // decoded; -1: not known
	promises []*promise
	tick     func(n int) // told of every piece

	held    byte
	holding bool
	got     int64
	err     error
	failed  atomic.Pointer[fault] // the same, for others to look at meanwhile
}

// Read puts the byte that was held before what it reads, and holds the last.
func (v *verified) Read(p []byte) (int, error) {
	switch {
	case len(p) == 0:
		return 0, nil
	case v.err != nil && v.holding: // what a read of one byte left of the end
		p[0], v.holding = v.held, false
		return 1, v.err
	case v.err != nil:
		return 0, v.err
	case len(p) == 1: // the held byte fills it
		var two [2]byte
		n, err := v.Read(two[:])
		if n < 2 {
			return copy(p, two[:n]), err
		}
		p[0], v.held, v.holding = two[0], two[1], true
		return 1, nil
	}
	start := 0
	if v.holding {
		p[0], start = v.held, 1
	}
	n, err := v.src.Read(p[start:])
	v.tick(n)
	v.got += int64(n)
	for _, promise := range v.promises {
		_, _ = promise.hash.Write(p[start : start+n])
	}
	if v.length >= 0 && v.got > v.length {
		err = badRequest("InvalidRequest", "the payload is longer than the request says")
	}
	if errors.Is(err, io.EOF) {
		if f := v.verdict(); f != nil {
			return 0, v.fail(f)
		}
		v.err, v.holding = io.EOF, false
		return start + n, io.EOF
	}
	if err != nil {
		return 0, v.fail(err)
	}
	if start+n == 0 {
		return 0, nil
	}
	v.held, v.holding = p[start+n-1], true
	return start + n - 1, nil
}

// verdict is what is said of a payload that has ended.
func (v *verified) verdict() *fault {
	if v.length >= 0 && v.got != v.length {
		return errCut
	}
	for _, promise := range v.promises {
		if f := promise.kept(); f != nil {
			return f
		}
	}
	return nil
}

// fail makes err the end. What is no fault of the payload's is the connection's.
func (v *verified) fail(err error) error {
	f := errCut
	if errors.Is(err, os.ErrDeadlineExceeded) {
		f = errTimedOut
	}
	_ = errors.As(err, &f)
	v.err, v.holding = f, false
	v.failed.Store(f)
	return f
}
