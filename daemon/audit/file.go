package audit

import (
	"errors"
	"fmt"
	"os"
)

// takeUp opens what is at the path, to go on at its end, and returns its last
// line. A file from before may be being read: it is closed once nobody has it.
func (t *Trail) takeUp() (line []byte, err error) {
	f, err := os.OpenFile(t.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open audit trail: %w", err)
	}
	line, end, torn, err := wholeLines(f)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("open audit trail %s: %w", t.path, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.file, t.write, t.began, t.size, t.torn = f, f.WriteAt, end, end, torn
	return line, nil
}

// wholeLines cuts off half a line at the end.
func wholeLines(f *os.File) (last []byte, end, torn int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, 0, errors.New("it is no regular file")
	}
	if info.Mode().Perm() != 0o600 {
		if err := f.Chmod(0o600); err != nil {
			return nil, 0, 0, err
		}
	}
	if last, end, err = lastLine(f, info.Size()); err != nil {
		return nil, 0, 0, err
	}
	if torn = info.Size() - end; torn > 0 {
		err = f.Truncate(end)
	}
	return last, end, torn, err
}

// stay goes on in the file that is at the path now, where somebody has moved ours
// away, removed it or put another in its place: lines would go where nobody finds
// them. Verify names what is missing then. The caller holds writing.
func (t *Trail) stay() error {
	t.mu.Lock()
	ours, err := t.file.Stat()
	t.mu.Unlock()
	if err != nil {
		return err
	}
	if there, err := os.Stat(t.path); err == nil && os.SameFile(ours, there) {
		return nil
	}
	if _, err := t.takeUp(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moved = true
	return nil
}

// Moved reports whether the file was taken away or replaced since Open.
func (t *Trail) Moved() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.moved
}
