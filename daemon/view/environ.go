package view

import "bytes"

// writeEnviron writes for ccactl exec, as in /proc/PID/environ: NAME=VALUE and a
// NUL for what the child gets, NAME and a NUL for what it must not inherit.
func writeEnviron(_ *view, set []variable, drop []string) ([]byte, error) {
	var b bytes.Buffer
	for _, name := range drop {
		b.WriteString(name + "\x00")
	}
	for _, one := range set {
		b.WriteString(one.name + "=" + one.value + "\x00")
	}
	return b.Bytes(), nil
}
