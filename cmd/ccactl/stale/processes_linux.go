package stale

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Processes returns the words in the environments of this user's other
// processes, as they were started: what a program set for itself later is not
// to be seen from outside.
func Processes() (words []Word) {
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil || pid == os.Getpid() {
			continue
		}
		info, err := os.Stat(folder)
		if err != nil {
			continue
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Getuid() {
			continue
		}
		data, err := os.ReadFile(folder + "/environ")
		if err != nil {
			continue // gone, or it does not let itself be read, as ccad
		}
		program, _ := os.ReadFile(folder + "/comm")
		for variable := range strings.SplitSeq(string(data), "\x00") {
			name, value, ok := strings.Cut(variable, "=")
			if ok && len(value) >= minWord && len(value) <= maxWord {
				words = append(words, Word{value, Place{PID: pid, Program: strings.TrimSpace(string(program)), Variable: name}})
			}
		}
	}
	return words
}
