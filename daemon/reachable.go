package daemon

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cloud-ca/ccad/daemon/session"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/ipc"
)

// reachableEvery is how often ccad looks whether its sockets are there.
const reachableEvery = 10 * time.Second

// stayReachable listens anew, until ctx ends, where a cleaner of temporary files has
// removed a socket or its folder: clients would find no daemon, and no other one
// can start.
func (d *Daemon) stayReachable(ctx context.Context, ticks <-chan time.Time) {
	for told := ""; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		said := ""
		if err := d.listenAnew(); err != nil {
			said = err.Error()
		}
		if said != "" && said != told {
			d.Log.Error("the socket was removed, and there can be no other", "error", said)
		}
		told = said
	}
}

// listenAnew makes again what is gone of the folder of the socket and the sockets in
// it: the generations are keepPublished's, and the socket that systemd holds is
// systemd's.
func (d *Daemon) listenAnew() error {
	d.marking.Lock() // a lock hands over what is there now
	defer d.marking.Unlock()
	if d.image.Err() != nil {
		return nil
	}
	if folder := filepath.Dir(d.Socket); gone(folder) {
		lock, err := vault.LockFolder(folder)
		if err != nil {
			return err
		}
		d.locks = append(d.locks, lock)
	}
	if d.made {
		if err := d.move(d.gate, d.Socket); err != nil {
			return err
		}
	}
	return d.move(d.credentials.gate, filepath.Join(filepath.Dir(d.Socket), ipc.CredentialsName))
}

// move lets a gate stand before a new socket where its own is gone.
func (d *Daemon) move(g *session.Gate, path string) error {
	if g == nil || !gone(path) {
		return nil
	}
	former, ok := g.Listener.(*ipc.Listener)
	if !ok {
		return errors.New("the listener is no Unix socket")
	}
	l, err := ipc.Listen(path)
	if err != nil {
		return err
	}
	l.Stranger = former.Stranger
	former.SetUnlinkOnClose(false) // it would be the new one's file
	g.Move(l)
	d.Log.Warn("a socket was removed, and is made again", "socket", path)
	return nil
}

func gone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}
