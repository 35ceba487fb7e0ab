package audit

import (
	"context"
	"errors"
	"io"
	"os"
)

// EventUnreadable is the Event of an Entry that stands for a line which Read
// can't make out; Verify says what it is.
const EventUnreadable = "unreadable"

// Read sends the entries there are and then closes the channel; with follow it
// goes on with each entry as it is appended. It ends when ctx does or the Trail
// is closed. A slow reader holds up nobody: he reads from the file.
func (t *Trail) Read(ctx context.Context, follow bool) (<-chan Entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	entries := make(chan Entry)
	go func() {
		defer close(entries)
		var file *os.File
		for at := int64(0); ; {
			s, changed, closed := t.written()
			if file != nil && s.file != file { // somebody has replaced it
				at = s.began
			}
			file = s.file
			if !send(ctx, entries, io.NewSectionReader(file, at, s.end-at)) || closed || !follow {
				return
			}
			at = s.end
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
		}
	}()
	return entries, nil
}

// written writes what it can and returns where that leads, and what tells of the
// next entry. What a full disk keeps in memory is read when it is written.
func (t *Trail) written() (s stand, changed <-chan struct{}, closed bool) {
	t.mu.Lock()
	changed, closed = t.changed, t.closed
	t.mu.Unlock()
	s, _ = t.flush() // what is appended from here on closes changed
	return s, changed, closed
}

// send sends what is in a part of the file and reports whether there is a reader
// and a file still.
func send(ctx context.Context, entries chan<- Entry, part io.Reader) bool {
	for line, err := range lines(part) {
		if err != nil && !errors.Is(err, ErrAltered) {
			return false
		}
		e, err := parse(line)
		if err != nil {
			e = Entry{Event: EventUnreadable}
		}
		select {
		case entries <- e:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
