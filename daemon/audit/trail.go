// Package audit keeps the trail of every secret that was handed out: JSON
// lines, each with a MAC over the one before it, under a key that only the
// vault has.
//
// So a line can't be altered, and none taken out from between others, without
// the key. What is cut off at the end shows only against a checkpoint: the
// vault keeps the Head that the trail had at some time, and lines after that
// one can be lost unseen. Where Open finds less than the checkpoint knows, it
// goes on from the checkpoint, so that the gap stays visible for ever.
//
// The trail serves, it doesn't deny: Append puts a line into memory, a goroutine
// writes it a moment later, nothing is synced. When the disk is full lines wait
// in memory, then are counted and dropped, and a line says how many. A trail is
// written by one process; there everything may be called at the same time.
package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// A Head is where the chain stands: its last line's number and MAC. The zero
// Head is that of an empty trail.
type Head struct {
	Line uint64
	MAC  []byte
}

// An Entry is one line. Append gives it Line and MAC.
type Entry struct {
	Line        uint64    `json:"line"`
	Time        time.Time `json:"time"`
	Event       string    `json:"event"`
	Environment string    `json:"environment,omitempty"`
	User        string    `json:"user,omitempty"`
	View        string    `json:"view,omitempty"`
	Version     int       `json:"version,omitempty"`
	PID         int       `json:"pid,omitempty"`
	Program     string    `json:"program,omitempty"`
	Parent      string    `json:"parent,omitempty"`
	Store       uint64    `json:"store,omitempty"` // the store's sequence number
	Note        string    `json:"note,omitempty"`
	MAC         string    `json:"mac,omitempty"` // hexadecimal; always the last
}

// EventLost is the Event of a line that says how many could not be written.
const EventLost = "lost"

// EventCutShort is the Event of the line after which the trail goes on that was
// not ended: its Note says what Verify can't tell.
const EventCutShort = "cut-short"

// pendingMax is how much may wait in memory for a disk that is full.
const pendingMax = 1 << 20

// ErrClosed is what a closed Trail answers.
var ErrClosed = errors.New("the audit trail is closed")

// A Trail is the open trail.
type Trail struct {
	path  string
	key   []byte
	torn  int64
	wake  chan struct{} // there are lines to write; closed by Close
	ended chan struct{} // closed when the goroutine that writes has ended

	writing sync.Mutex // one write at a time; taken before mu

	mu      sync.Mutex
	file    *os.File
	write   func(data []byte, at int64) (int, error) // the file's, but in tests
	began   int64                                    // where this trail went on in the file
	moved   bool                                     // it is not the file that was opened first
	head    Head
	pending []byte        // whole lines that are not in the file yet
	size    int64         // of the file, whole lines only
	fault   error         // of the last write
	lost    int           // entries dropped since the last one that was kept
	changed chan struct{} // closed and replaced by each Append, closed for good by Close
	closed  bool
}

// Open opens the trail, and makes it and its folder if they're missing. It goes
// on after the last whole line; half a line at the end, left by a crash, is cut
// off (see Torn). head is the last checkpoint, and where the file is behind it,
// what Open goes on from. What is there is not verified.
func Open(path string, key []byte, head Head) (*Trail, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open audit trail: %w", err)
	}
	t := &Trail{
		path:    path,
		key:     key,
		wake:    make(chan struct{}, 1),
		ended:   make(chan struct{}),
		head:    head,
		changed: make(chan struct{}),
	}
	line, err := t.takeUp()
	if err != nil {
		return nil, err
	}
	// A last line that can't be read is left for Verify to find.
	if e, err := parse(line); err == nil && e.Line >= head.Line {
		mac, _ := hex.DecodeString(e.MAC) // parse has checked it
		t.head = Head{Line: e.Line, MAC: mac}
	}
	go func() {
		defer close(t.ended)
		for range t.wake {
			_ = t.Flush() // the next Append tells
		}
	}()
	return t, nil
}

// Torn returns how many bytes of a half-written last line Open cut off.
func (t *Trail) Torn() int64 { return t.torn }

// Append adds an entry and returns it as it stands in the trail. It waits for
// no disk, unless that is a megabyte behind. An error says that the last write
// failed and lines wait in memory; or, where the returned Entry has no Line,
// that this one was dropped. It is for warning, not for refusing.
func (t *Trail) Append(e Entry) (Entry, error) {
	t.mu.Lock()
	for len(t.pending) >= pendingMax && t.fault == nil && !t.closed { // the disk is only slow
		t.mu.Unlock()
		_ = t.Flush()
		t.mu.Lock()
	}
	defer t.mu.Unlock()
	if t.closed {
		return Entry{}, ErrClosed
	}
	defer t.tellLocked()
	if len(t.pending) >= pendingMax {
		t.lost++
		return Entry{}, t.fault
	}
	if t.lost > 0 {
		note := fmt.Sprintf("%d entries were lost while the trail could not be written", t.lost)
		if _, err := t.chainLocked(Entry{Time: e.Time, Event: EventLost, Store: e.Store, Note: note}); err != nil {
			return Entry{}, err
		}
		t.lost = 0
	}
	e, err := t.chainLocked(e)
	return e, errors.Join(err, t.fault)
}

// tellLocked wakes the goroutine that writes, and the followers.
func (t *Trail) tellLocked() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
	close(t.changed)
	t.changed = make(chan struct{})
}

// chainLocked numbers an entry, chains it to the one before, and buffers it.
func (t *Trail) chainLocked(e Entry) (Entry, error) {
	e.Line, e.MAC = t.head.Line+1, ""
	body, err := json.Marshal(e)
	if err != nil {
		return Entry{}, fmt.Errorf("append to audit trail: %w", err) // a year beyond 9999
	}
	mac := chain(t.key, t.head.MAC, body)
	e.MAC = hex.EncodeToString(mac)
	t.pending = append(t.pending, withMAC(body, e.MAC)...)
	t.head = Head{Line: e.Line, MAC: mac}
	return e, nil
}

// chain returns the MAC of a line: over the MAC of the one before it and its own
// bytes without the MAC.
func chain(key, previous, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write(previous)
	_, _ = h.Write(body)
	return h.Sum(nil)
}

// Flush writes what is in memory. It doesn't sync.
func (t *Trail) Flush() error {
	if t.isClosed() {
		return ErrClosed
	}
	_, err := t.flush()
	return err
}

// Head returns where the chain stands, lines in memory included.
func (t *Trail) Head() Head {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.head
}

// Checkpoint writes what is in memory, syncs it, and returns the Head there: what
// the vault keeps. Were it not synced, a power cut would leave a trail behind its
// checkpoint, as if somebody had cut it.
func (t *Trail) Checkpoint() (Head, error) {
	if t.isClosed() {
		return Head{}, ErrClosed
	}
	s, err := t.flush()
	if err != nil {
		return Head{}, err
	}
	if err := s.file.Sync(); err != nil {
		return Head{}, fmt.Errorf("sync audit trail: %w", err)
	}
	return s.head, nil
}

func (t *Trail) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

// A stand is how far a file goes, from where this trail went on in it, and the
// head of the chain there.
type stand struct {
	file       *os.File
	began, end int64
	head       Head
}

// flush writes what is in memory and returns where that leads.
func (t *Trail) flush() (stand, error) {
	t.writing.Lock()
	defer t.writing.Unlock()
	err := t.stay()
	t.mu.Lock()
	data, write, s := t.pending, t.write, stand{t.file, t.began, t.size, t.head}
	t.pending = nil
	t.mu.Unlock()

	// Always at the end of the last whole line: what a write left half done,
	// the next one writes over.
	if err == nil && len(data) > 0 {
		_, err = write(data, s.end)
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.pending = append(data, t.pending...)
		t.fault = fmt.Errorf("write audit trail: %w", err)
		return s, t.fault
	}
	s.end += int64(len(data))
	t.size, t.fault = s.end, nil
	return s, nil
}

// Close flushes and closes. Followers end.
func (t *Trail) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return ErrClosed
	}
	t.closed = true
	t.mu.Unlock()
	close(t.wake)
	<-t.ended
	s, err := t.flush()
	t.mu.Lock()
	close(t.changed)
	t.mu.Unlock()
	return errors.Join(err, s.file.Close())
}
