package supervise

import "syscall"

// attributes of the command's process. There is no way to tell the kernel that
// it should not outlive us.
func attributes(grouped bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: grouped}
}
