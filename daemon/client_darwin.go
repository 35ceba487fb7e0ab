package daemon

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cloud-ca/ccad/daemon/rotate"
)

// processOf tells what the kernel knows of a process.
func processOf(pid int) (p rotate.Process, parent int) {
	p = rotate.Process{PID: pid}
	k, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return p, 0
	}
	p.Program = unix.ByteSliceToString(k.Proc.P_comm[:])
	p.Started = uint64(k.Proc.P_starttime.Sec)*1e6 + uint64(k.Proc.P_starttime.Usec)
	return p, int(k.Eproc.Ppid)
}

// startOf is when a process began; zero where that is not known.
func startOf(p rotate.Process) time.Time {
	if p.Started == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(p.Started))
}

// alive reports whether a process still runs and is still the same one.
func alive(p rotate.Process) bool {
	now, _ := processOf(p.PID)
	return now.Started != 0 && now.Started == p.Started
}

// own takes every connection for the user's: this system does not tell.
func own(_, _ netip.AddrPort) bool { return true }
