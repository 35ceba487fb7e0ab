package watch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"

	"github.com/cloud-ca/ccad/ipc"
)

// MaxSize is the size of the largest file that is read.
const MaxSize = 1 << 20

// ErrUnsafe: others may write the file. ErrUnfit: it is none of this user's, or none
// that can be read without harm.
var (
	ErrUnsafe = errors.New("not read")
	ErrUnfit  = errors.New("not read")
)

// ErrSlow: the file system gives no answer, as a network's whose server is gone.
var ErrSlow = errors.New("its file system does not answer")

// Read reads a file under guard: a regular file of this user's, which nobody
// else may write, of at most MaxSize. It never waits, as opening a
// FIFO would. A link is followed, and what it leads to has to pass.
func Read(path string) ([]byte, error) { return ReadOf(path, os.Getuid()) }

// ReadOf does so for a file of any of these users.
func ReadOf(path string, owners ...int) ([]byte, error) {
	// Opening some devices does something, so they are told before.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is no regular file", ErrUnfit)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: it is no regular file", ErrUnfit)
	case !ok || !slices.Contains(owners, int(owner.Uid)):
		return nil, fmt.Errorf("%w: it is another user's", ErrUnfit)
	case ipc.OthersMayWrite(ipc.Opened(f), info):
		return nil, fmt.Errorf("%w: others may write it", ErrUnsafe)
	case info.Size() > MaxSize:
		return nil, fmt.Errorf("%w: it is larger than 1 MiB", ErrUnfit)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err == nil && len(data) > MaxSize {
		return nil, fmt.Errorf("%w: it is larger than 1 MiB", ErrUnfit)
	}
	return data, err
}
