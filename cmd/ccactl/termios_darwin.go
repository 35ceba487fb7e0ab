package main

import "golang.org/x/sys/unix"

const ioctlGetTermios, ioctlSetTermios, ioctlSetTermiosFlush = unix.TIOCGETA, unix.TIOCSETA, unix.TIOCSETAF
