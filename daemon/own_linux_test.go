package daemon

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// Whose a connection is can be asked only with a descriptor to spare, and every
// user of the machine can use them up: then it is nobody's. (It runs before the
// parallel tests: the limit is the process's.)
func TestOwnWithoutDescriptors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	client, ours := netip.MustParseAddrPort(c.LocalAddr().String()), netip.MustParseAddrPort(l.Addr().String())
	if !own(client, ours) {
		t.Error("our own connection is taken for another's")
	}
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	taken := own(client, ours)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if taken {
		t.Error("a connection of which nothing could be found out is taken for our own")
	}
}
