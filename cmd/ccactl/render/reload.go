package render

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// Reload runs a command, without a shell, that makes a program read its file
// again. It gets no input, and its output is dropped: it might hold what is in
// the file. What it started is killed with it when ctx ends or the limit is over.
func Reload(ctx context.Context, argv []string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Run()
	var none *exec.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &none):
		return fmt.Errorf("%s: %w", argv[0], none.Err)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s did not end within %v, and was killed", argv[0], limit)
	}
	return fmt.Errorf("%s: %w", argv[0], err)
}
