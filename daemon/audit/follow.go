package audit

import (
	"context"
	"errors"
	"io"
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
		for at := int64(0); ; {
			end, changed, closed := t.written()
			if !t.send(ctx, entries, at, end) || closed || !follow {
				return
			}
			at = end
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
		}
	}()
	return entries, nil
}

// written returns how far the file goes and what tells of the next entry. What a
// full disk keeps in memory is read when it is written.
func (t *Trail) written() (end int64, changed <-chan struct{}, closed bool) {
	t.mu.Lock()
	changed, closed = t.changed, t.closed
	t.mu.Unlock()
	_, end, _ = t.flush() // what is appended from here on closes changed
	return end, changed, closed
}

// send sends those between two places of the file and reports whether there is
// a reader and a file still.
func (t *Trail) send(ctx context.Context, entries chan<- Entry, start, end int64) bool {
	for line, err := range lines(io.NewSectionReader(t.file, start, end-start)) {
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
