package configure

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// sizeLimit is far above any file that a person keeps.
const sizeLimit = 1 << 20

// file is a text file being edited.
type file struct {
	name string      // as the caller calls it
	path string      // where it is, symbolic links followed
	info fs.FileInfo // nil: there is none yet
	mode fs.FileMode // of its successor
	text string
}

// Edit replaces the text of a file by what f makes of it, and reports whether
// that changed it. A file that isn't there is empty; what f fails on stays.
func Edit(name string, f func(text string) (string, error)) (changed bool, err error) {
	file, err := open(name)
	if err != nil {
		return false, err
	}
	text, err := f(file.text)
	if err != nil {
		return false, err
	}
	return file.save(text)
}

// Restore gives a file a former text, and its mode, of which nothing is added to
// what a file that is there has.
func Restore(name, text string, mode fs.FileMode) error {
	file, err := open(name)
	if err != nil {
		return err
	}
	if file.info != nil {
		mode &= file.mode
	}
	file.mode = mode
	_, err = file.save(text)
	return err
}

// open reads a file. One that isn't there is empty.
func open(name string) (*file, error) {
	path, err := filepath.EvalSymlinks(name)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(name); err == nil {
			return nil, fmt.Errorf("%s is a symbolic link to nothing", name)
		}
		// The folder may be a link, or not be there either.
		return &file{name: name, path: name, mode: 0o600}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the file to edit: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open the file to edit: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open the file to edit: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, sizeLimit+1))
	if err != nil {
		return nil, fmt.Errorf("read the file to edit: %w", err)
	}
	if len(data) > sizeLimit {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, sizeLimit)
	}
	return &file{name: name, path: path, info: info, mode: info.Mode().Perm(), text: string(data)}, nil
}

// legible refuses text with characters of which the readers of a format disagree
// whether they end a line or are there at all.
func legible(name, text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%s is not UTF-8", name)
	}
	for i, r := range text {
		if control(r) && r != '\t' && r != '\n' && !strings.HasPrefix(text[i:], "\r\n") {
			return fmt.Errorf("%s:%d: a control character", name, 1+strings.Count(text[:i], "\n"))
		}
	}
	return nil
}

func control(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}

// save replaces the file if text is another one.
func (f *file) save(text string) (changed bool, err error) {
	if text == f.text {
		return false, nil
	}
	folder := filepath.Dir(f.path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return false, fmt.Errorf("make the folder of %s: %w", f.name, err)
	}
	f.removeLeft()
	tmp, err := os.OpenFile(f.beside(strconv.Itoa(os.Getpid())), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false, fmt.Errorf("write %s: %w", f.name, err)
	}
	defer os.Remove(tmp.Name()) // gone after the rename
	if err := errors.Join(f.fill(tmp, text), tmp.Close()); err != nil {
		return false, fmt.Errorf("write %s: %w", f.name, err)
	}
	if err := f.unchanged(); err != nil {
		return false, err
	}
	if err := os.Rename(tmp.Name(), f.path); err != nil {
		return false, fmt.Errorf("write %s: %w", f.name, err)
	}
	d, err := os.Open(folder)
	if err != nil {
		return true, fmt.Errorf("flush the folder of %s: %w", f.name, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return true, fmt.Errorf("flush the folder of %s: %w", f.name, err)
	}
	return true, nil
}

// beside is where a process writes the successor of the file. Its number is in the
// name, so that what it leaves when it is killed is known for that.
func (f *file) beside(pid string) string {
	return filepath.Join(filepath.Dir(f.path), "."+filepath.Base(f.path)+"."+pid+".ccad")
}

// removeLeft removes what processes left there that are gone: it may hold secrets.
func (f *file) removeLeft() {
	entries, _ := os.ReadDir(filepath.Dir(f.path))
	for _, e := range entries {
		number, _ := strings.CutPrefix(e.Name(), "."+filepath.Base(f.path)+".")
		number, _ = strings.CutSuffix(number, ".ccad")
		pid, err := strconv.Atoi(number)
		if err != nil || pid <= 0 || filepath.Base(f.beside(number)) != e.Name() {
			continue
		}
		if pid == os.Getpid() || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.Remove(f.beside(number))
		}
	}
}

// Writable returns why a file could not be edited, where that can be told before.
// It leaves nothing behind.
func Writable(name string) error {
	file, err := open(name)
	if err != nil {
		return err
	}
	folder := filepath.Dir(file.path)
	for {
		if _, err := os.Stat(folder); err == nil || folder == filepath.Dir(folder) {
			break
		}
		folder = filepath.Dir(folder) // it will be made
	}
	tmp, err := os.CreateTemp(folder, "."+filepath.Base(file.path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return errors.Join(tmp.Close(), os.Remove(tmp.Name()))
}

// fill makes tmp the successor of f: text, mode and owner.
func (f *file) fill(tmp *os.File, text string) error {
	mode := f.mode
	if f.info != nil {
		// The group is kept where that is allowed, else it is another one, which gets no
		// permissions; a file of another user's is kept his only by root.
		if st, ok := f.info.Sys().(*syscall.Stat_t); ok {
			if err := tmp.Chown(int(st.Uid), int(st.Gid)); err != nil && int(st.Uid) != os.Geteuid() {
				return err
			} else if err != nil {
				mode &^= 0o070
			}
		}
	}
	if err := tmp.Chmod(mode); err != nil {
		return err
	}
	if _, err := tmp.WriteString(text); err != nil {
		return err
	}
	return tmp.Sync()
}

// unchanged refuses to overwrite what another program wrote meanwhile.
func (f *file) unchanged() error {
	data, err := os.ReadFile(f.path)
	if f.info == nil && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s again: %w", f.name, err)
	}
	if f.info == nil || !bytes.Equal(data, []byte(f.text)) {
		return fmt.Errorf("%s was changed by another program meanwhile", f.name)
	}
	return nil
}

// lines cuts text into lines that keep their ends, and says which end the file
// uses.
func lines(text string) (all []string, end string) {
	all = strings.SplitAfter(text, "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	if len(all) > 0 && strings.HasSuffix(all[0], "\r\n") {
		return all, "\r\n"
	}
	return all, "\n"
}

// oneLine refuses a value that would not be one.
func oneLine(what, value string) error {
	if value != strings.TrimSpace(value) || strings.ContainsFunc(value, control) {
		return fmt.Errorf("the %s %q doesn't fit on a line", what, value)
	}
	return nil
}
