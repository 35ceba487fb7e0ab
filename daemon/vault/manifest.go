package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"

	"golang.org/x/crypto/argon2"

	"github.com/cloud-ca/ccad/daemon/account"
)

const manifestName = "keyring.json"

// A manifest says which item of which backend is the master key. It is written
// after the item is proved to be there, and so is what makes it count.
type manifest struct {
	Backend string   `json:"backend"`
	Item    string   `json:"item"`
	Digest  []byte   `json:"item_sha256,omitempty"` // file: tells a damaged item from a wrong passphrase
	Stretch *stretch `json:"argon2id,omitempty"`    // file: how the passphrase becomes the keyring's
}

// readManifest reports false where there is none yet.
func readManifest(dir string) (m manifest, ok bool, err error) {
	path := filepath.Join(dir, manifestName)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return m, false, nil
	}
	if err != nil {
		return m, false, fmt.Errorf("read keyring manifest: %w", err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, false, fmt.Errorf("%s is %w: %w", path, ErrCorrupt, err)
	}
	switch {
	case !slices.Contains(backends, m.Backend) || m.Item == "" || m.Item != filepath.Base(m.Item):
		return m, false, fmt.Errorf("%s is %w: no known backend, or no item", path, ErrCorrupt)
	case m.Backend == fileBackend && !m.Stretch.sane():
		return m, false, fmt.Errorf("%s is %w: unusable argon2id parameters", path, ErrCorrupt)
	}
	return m, true, nil
}

func (d disk) writeManifest(dir string, m manifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encode keyring manifest: %w", err)
	}
	return d.writeFile(filepath.Join(dir, manifestName), append(data, '\n'), 0o600)
}

// A stretch is how Argon2id makes the file keyring's passphrase of a person's:
// that keyring itself does only 8192 rounds of PBKDF2.
type stretch struct {
	Memory  uint32 `json:"memory_kib"`
	Time    uint32 `json:"time"`
	Threads uint8  `json:"threads"`
	Salt    []byte `json:"salt"`
}

// newStretch has OWASP's first choice for little memory: the daemon stays small.
func newStretch() *stretch {
	return &stretch{Memory: 19 * 1024, Time: 3, Threads: 1, Salt: randomKey()[:16]}
}

// sane bounds what a manifest can make us spend, and what would panic.
func (s *stretch) sane() bool {
	return s != nil && s.Memory >= 8 && s.Memory <= 256*1024 && s.Time >= 1 && s.Time <= 64 && s.Threads >= 1 && len(s.Salt) >= 16
}

// key stretches a passphrase and gives the memory for it back.
func (s *stretch) key(passphrase account.Secret) account.Secret {
	defer debug.FreeOSMemory()
	key := argon2.IDKey([]byte(passphrase.Reveal()), s.Salt, s.Time, s.Memory, s.Threads, 32)
	return account.NewSecret(keyText.EncodeToString(key))
}
