package service

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/vault"
	"github.com/cloud-ca/ccad/packaging"
)

// maxPassphrase is the daemon's own limit.
const maxPassphrase = 4096

// A sealing is the passphrase of one user's file keyring, encrypted by systemd
// to this machine, and the drop-in that hands it to his user manager, which
// hands it to ccad.service (LoadCredential=ccad). Only root can do either: at
// systemd 252 a user manager can't decrypt by itself.
type sealing struct{ credential, dropIn string }

func sealingOf(uid int) sealing {
	return sealing{
		credential: fmt.Sprintf("/etc/credstore.encrypted/ccad.%d", uid),
		dropIn:     fmt.Sprintf("/etc/systemd/system/user@%d.service.d/ccad.conf", uid),
	}
}

// invoker is the user for whom root was asked to do something; -1 if none says.
func invoker() int {
	uid, err := strconv.Atoi(cmp.Or(os.Getenv("SUDO_UID"), os.Getenv("PKEXEC_UID")))
	if err != nil || uid < 0 {
		return -1
	}
	return uid
}

// seal does install --seal and uninstall --seal.
func seal(w io.Writer, verb string) error {
	if runtime.GOOS != "linux" {
		return errors.New("--seal needs systemd")
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("sealing needs root: sudo ccad %s --seal", verb)
	}
	uid := invoker()
	if uid < 0 {
		return fmt.Errorf("nothing says whose passphrase is meant: let the user run sudo ccad %s --seal", verb)
	}
	s := sealingOf(uid)
	if _, _, err := current(s.dropIn, packaging.UnitMark); err != nil {
		return err
	}
	if verb == "uninstall" {
		return s.remove(w)
	}
	person, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return fmt.Errorf("find the home folder of user %d: %w", uid, err)
	}
	passphrase, err := askPassphrase(os.Stdin)
	if err == nil {
		err = proved(person.HomeDir, uid, passphrase)
	}
	if err != nil {
		return err
	}
	return s.make(w, uid, passphrase)
}

// proved refuses a passphrase that does not open the keyring in a user's home: it
// would leave ccad locked at each login. Where there is none the first start makes
// one by it; one of another XDG_DATA_HOME is not known here. His files are read as
// he, since folders and links on the way are his.
func proved(home string, uid int, passphrase []byte) error {
	root := os.Geteuid()
	if err := syscall.Seteuid(uid); err != nil {
		return fmt.Errorf("read the keyring as user %d: %w", uid, err)
	}
	dir := filepath.Join(home, ".local/share/ccad")
	err := vault.Prove(context.Background(), dir, account.NewSecret(string(passphrase)))
	if err != nil {
		err = fmt.Errorf("the passphrase does not open the keyring in %s, and nothing was sealed: %w", dir, err)
	}
	return errors.Join(err, syscall.Seteuid(root))
}

func (s sealing) make(w io.Writer, uid int, passphrase []byte) error {
	var said strings.Builder
	encrypt := exec.Command("systemd-creds", "encrypt", "--name=ccad", "-", "-")
	encrypt.Stdin, encrypt.Stderr = bytes.NewReader(append(passphrase, '\n')), &said // the daemon drops one newline, too
	sealed, err := encrypt.Output()
	if line, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n"); err != nil && line != "" {
		err = errors.New(line)
	}
	if err != nil {
		return fmt.Errorf("seal the passphrase (systemd-creds): %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(s.credential), 0o700); err != nil {
		return err
	}
	if err := (file{s.credential, string(sealed)}).write(0o600); err != nil {
		return err
	}
	text := packaging.UnitMark + "ccad uninstall --seal removes this file.\n[Service]\nLoadCredentialEncrypted=ccad:" + s.credential + "\n"
	if err := (file{s.dropIn, text}).write(0o644); err != nil {
		return err
	}
	if out, err := exec.Command("systemctl", "daemon-reload").CombinedOutput(); err != nil {
		return fmt.Errorf("let systemd read its units: %s", bytes.TrimSpace(out))
	}
	_, _ = fmt.Fprintf(w, "wrote %s, which only this machine can open\nwrote %s\nccad unlocks by it from the next start of user@%d.service on: log out everywhere, or restart the machine\n", s.credential, s.dropIn, uid)
	return nil
}

func (s sealing) remove(w io.Writer) error {
	for _, path := range []string{s.dropIn, s.credential} {
		err := os.Remove(path)
		if err == nil {
			_, _ = fmt.Fprintf(w, "removed %s\n", path)
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	removeEmpty(filepath.Dir(s.dropIn))
	if out, err := exec.Command("systemctl", "daemon-reload").CombinedOutput(); err != nil {
		return fmt.Errorf("let systemd read its units: %s", bytes.TrimSpace(out))
	}
	return nil
}

// sealedFor says that root has a sealed passphrase of ours, which only root can
// take away.
func sealedFor(w io.Writer) error {
	if _, err := os.Stat(sealingOf(os.Getuid()).dropIn); err == nil {
		_, _ = fmt.Fprintln(w, "the sealed passphrase is root's to remove: sudo ccad uninstall --seal")
	}
	return nil
}

// askPassphrase asks on the terminal, twice; from elsewhere it reads to the end,
// and drops one final newline.
func askPassphrase(in *os.File) ([]byte, error) {
	if !term.IsTerminal(int(in.Fd())) {
		data, err := io.ReadAll(io.LimitReader(in, maxPassphrase+2))
		if err != nil {
			return nil, fmt.Errorf("read the passphrase: %w", err)
		}
		return checkPassphrase(bytes.TrimSuffix(data, []byte("\n")))
	}
	ask := func(question string) ([]byte, error) {
		_, _ = fmt.Fprint(os.Stderr, question)
		answer, err := term.ReadPassword(int(in.Fd()))
		_, _ = fmt.Fprintln(os.Stderr)
		return answer, err
	}
	first, err := ask("The passphrase of the keyring (not shown): ")
	if err != nil {
		return nil, fmt.Errorf("read the passphrase: %w", err)
	}
	again, err := ask("the same again: ")
	if err != nil {
		return nil, fmt.Errorf("read the passphrase: %w", err)
	}
	if !bytes.Equal(first, again) {
		return nil, errors.New("the two passphrases differ; nothing was sealed")
	}
	return checkPassphrase(first)
}

func checkPassphrase(p []byte) ([]byte, error) {
	switch {
	case len(p) == 0:
		return nil, errors.New("the passphrase is empty; nothing was sealed")
	case len(p) > maxPassphrase:
		return nil, fmt.Errorf("the passphrase is longer than %d bytes; nothing was sealed", maxPassphrase)
	}
	return p, nil
}
