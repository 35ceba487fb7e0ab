package daemon

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cloud-ca/ccad/daemon/rotate"
)

// processOf tells what the kernel knows of a process, for the ledger and the
// audit trail. A process that is gone has only its number.
func processOf(pid int) (p rotate.Process, parent int) {
	p = rotate.Process{PID: pid}
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return p, 0
	}
	// PID (comm) state ppid … starttime is field 22; comm may hold anything.
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 0 || end < open {
		return p, 0
	}
	p.Program = string(data[open+1 : end])
	fields := strings.Fields(string(data[end+1:]))
	if len(fields) > 19 && fields[0] != "Z" {
		parent, _ = strconv.Atoi(fields[1])
		p.Started, _ = strconv.ParseUint(fields[19], 10, 64)
	}
	return p, parent
}

// startOf is when a process began; zero where that is not known.
func startOf(p rotate.Process) time.Time {
	const tick = time.Second / 100 // of /proc, whatever the kernel's own is
	var up unix.Timespec
	if p.Started == 0 || unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) != nil {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(p.Started)*tick - time.Duration(up.Nano()))
}

// alive reports whether a process still runs and is still the same one.
func alive(p rotate.Process) bool {
	now, _ := processOf(p.PID)
	return now.Started != 0 && now.Started == p.Started
}
