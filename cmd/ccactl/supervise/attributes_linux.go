package supervise

import "syscall"

// attributes of the command's process. Killed without a word, we take it along.
func attributes(grouped bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: grouped, Pdeathsig: syscall.SIGKILL}
}
