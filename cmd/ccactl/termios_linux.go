package main

import "golang.org/x/sys/unix"

const ioctlGetTermios, ioctlSetTermios, ioctlSetTermiosFlush = unix.TCGETS, unix.TCSETS, unix.TCSETSF
