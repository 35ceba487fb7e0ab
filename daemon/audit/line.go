package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// lineMax bounds a line: what is longer is none of ours, and isn't read into
// memory.
const lineMax = 1 << 20

// A line is its entry's JSON with the MAC as the last member.
const beforeMAC = `,"mac":"`

// withMAC makes the line of an entry's JSON.
func withMAC(body []byte, mac string) []byte {
	line := append(bytes.Clone(body[:len(body)-1]), beforeMAC...)
	return append(append(line, mac...), "\"}\n"...)
}

// split returns the JSON and the MAC of a line without its newline, byte for
// byte as withMAC joined them.
func split(line []byte) (body, mac []byte, ok bool) {
	i := bytes.LastIndex(line, []byte(beforeMAC))
	if i < 0 {
		return nil, nil, false
	}
	digits, ok := bytes.CutSuffix(line[i+len(beforeMAC):], []byte(`"}`))
	if !ok || len(digits) != hex.EncodedLen(sha256.Size) {
		return nil, nil, false
	}
	mac, err := hex.DecodeString(string(digits))
	return append(bytes.Clone(line[:i]), '}'), mac, err == nil
}

// parse reads a line without believing it.
func parse(line []byte) (Entry, error) {
	var e Entry
	if _, _, ok := split(line); !ok {
		return e, errors.New("no line of an audit trail")
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return Entry{}, errors.New("no line of an audit trail")
	}
	return e, nil
}

// lines yields the lines of r without their newlines. The error is ErrTorn for
// half a line at the end, ErrAltered for what is too long to be one.
func lines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		in := bufio.NewScanner(r)
		in.Buffer(nil, lineMax)
		in.Split(func(data []byte, atEOF bool) (int, []byte, error) {
			if n := bytes.IndexByte(data, '\n') + 1; n > 0 {
				return n, data[:n], nil
			}
			if atEOF && len(data) > 0 {
				return len(data), data, nil
			}
			return 0, nil, nil
		})
		for in.Scan() {
			line, whole := bytes.CutSuffix(in.Bytes(), []byte("\n"))
			if !whole {
				yield(nil, ErrTorn)
				return
			}
			if !yield(line, nil) {
				return
			}
		}
		switch err := in.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			yield(nil, ErrAltered)
		case err != nil:
			yield(nil, err)
		}
	}
}

// lastLine returns the last whole line of the first size bytes, nil where there
// is none or it's too long to be one, and where it ends.
func lastLine(f io.ReaderAt, size int64) (line []byte, end int64, err error) {
	end, err = afterNewline(f, size)
	if err != nil || end == 0 {
		return nil, 0, err
	}
	start, err := afterNewline(f, end-1)
	if err != nil || end-start > lineMax {
		return nil, end, err
	}
	line = make([]byte, end-start-1)
	_, err = f.ReadAt(line, start)
	return line, end, err
}

// afterNewline returns the place after the last newline before end, or 0.
func afterNewline(f io.ReaderAt, end int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for end > 0 {
		part := buf[:min(end, int64(len(buf)))]
		end -= int64(len(part))
		if _, err := f.ReadAt(part, end); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return end + int64(i) + 1, nil
		}
	}
	return 0, nil
}

// Last returns what stands in the last whole line of a trail, or nothing where
// there is no line. It needs no key and proves nothing: it is for telling an old
// copy of the store from the one that was used last, and a trail that was cut.
func Last(path string) (Entry, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return Entry{}, nil
	}
	if err != nil {
		return Entry{}, fmt.Errorf("read audit trail: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Entry{}, fmt.Errorf("read audit trail: %w", err)
	}
	line, end, err := lastLine(f, info.Size())
	if err != nil {
		return Entry{}, fmt.Errorf("read audit trail %s: %w", path, err)
	}
	if end == 0 {
		return Entry{}, nil
	}
	e, err := parse(line)
	if err != nil {
		return Entry{}, fmt.Errorf("read audit trail %s: its last line is %w", path, err)
	}
	return e, nil
}
