package daemon

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// own reports whether a connection to us is a program's of the user or of root.
// Where the kernel has no table of connections all are taken for that. One that
// is in none of several looks is not, nor is one where the table can't be read:
// any user of the machine can use up our descriptors.
func own(client, ours netip.AddrPort) bool {
	for range 3 { // a table that changes may lack a line
		switch uid, found, err := ownerOf(client, ours); {
		case err != nil:
			return errors.Is(err, fs.ErrNotExist)
		case found:
			return uid == 0 || uid == os.Getuid()
		}
	}
	return false
}

// ownerOf looks up whose the client's end of a connection on this machine is.
// A client may reach an IPv4 address by a socket of IPv6.
func ownerOf(client, ours netip.AddrPort) (uid int, found bool, err error) {
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		f, e := os.Open(table)
		if e != nil {
			if table == "/proc/self/net/tcp" {
				err = e
			}
			continue
		}
		lines := bufio.NewScanner(f)
		for !found && lines.Scan() {
			// sl local_address rem_address st tx:rx tr:when retrnsmt uid …
			fields := strings.Fields(lines.Text())
			if len(fields) > 7 && endOf(fields[1]) == client && endOf(fields[2]) == ours {
				uid, e = strconv.Atoi(fields[7])
				found = e == nil
			}
		}
		_ = f.Close()
		if found {
			return uid, true, nil
		}
	}
	return 0, false, err
}

// endOf reads ADDRESS:PORT of those tables: the address in hexadecimal words of
// this machine's byte order. What is none is no valid one.
func endOf(s string) netip.AddrPort {
	address, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(address)
	n, e := strconv.ParseUint(port, 16, 16)
	if err != nil || e != nil || len(b)%4 != 0 {
		return netip.AddrPort{}
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	ip, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(ip.Unmap(), uint16(n))
}
