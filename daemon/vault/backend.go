package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/99designs/keyring"
	jose "github.com/dvsekhvalnov/jose2go"

	"github.com/cloud-ca/ccad/daemon/account"
	_ "github.com/cloud-ca/ccad/daemon/vault/busguard" // before keyring's init looks for a bus
)

const fileBackend = "file"

// backends are those that may be asked for, by the library's own names.
var backends = []string{fileBackend, "secret-service", "keychain", "kwallet", "pass", "keyctl"}

// keyText is the form in which a stretched passphrase is handed to the library.
var keyText = base64.RawStdEncoding

// The file backend needs one algorithm for keys and one for content. Whoever
// can write into its folder shall not choose another, nor compression.
func init() {
	for _, alg := range []string{
		jose.NONE, jose.HS256, jose.HS384, jose.HS512, jose.RS256, jose.RS384, jose.RS512,
		jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512,
	} {
		jose.DeregisterJws(alg)
	}
	for _, alg := range []string{
		jose.DIR, jose.RSA1_5, jose.RSA_OAEP, jose.RSA_OAEP_256, jose.RSA_OAEP_384, jose.RSA_OAEP_512,
		jose.A128KW, jose.A192KW, jose.A256KW, jose.A128GCMKW, jose.A192GCMKW, jose.A256GCMKW,
		jose.PBES2_HS384_A192KW, jose.PBES2_HS512_A256KW,
		jose.ECDH_ES, jose.ECDH_ES_A128KW, jose.ECDH_ES_A192KW, jose.ECDH_ES_A256KW,
	} {
		jose.DeregisterJwa(alg)
	}
	for _, enc := range []string{
		jose.A128CBC_HS256, jose.A192CBC_HS384, jose.A256CBC_HS512, jose.A128GCM, jose.A192GCM,
	} {
		jose.DeregisterJwe(enc)
	}
	jose.DeregisterJwc(jose.DEF)
}

// available reports whether this process has the backend: the library decides
// that once, at start, by the session bus it finds.
func available(backend string) bool {
	return slices.Contains(keyring.AvailableBackends(), keyring.BackendType(backend))
}

// config allows exactly one backend, so that nothing falls through to another.
func (k *Keyring) config(key account.Secret) keyring.Config {
	c := keyring.Config{
		AllowedBackends:                []keyring.BackendType{keyring.BackendType(k.backend)},
		ServiceName:                    "ccad",
		FileDir:                        k.items(),
		FilePasswordFunc:               func(string) (string, error) { return key.Reveal(), nil },
		LibSecretCollectionName:        "login", // a collection of our own can't be made without a desktop
		KeychainTrustApplication:       true,
		KeychainAccessibleWhenUnlocked: true,
		KWalletAppID:                   "ccad",
		KWalletFolder:                  "ccad",
		PassPrefix:                     "ccad",
		KeyCtlScope:                    "user",
		KeyCtlPerm:                     0x3f3f0000, // possessor and user: a service doesn't possess the user's keyring
	}
	if k.backend == "kwallet" {
		c.ServiceName = "kdewallet" // there it is the wallet's name
	}
	return c
}

// call runs one operation on a ring opened for it, in a goroutine of its own:
// a backend may wait for a person without end, and some panic on an unexpected
// answer. The library caches even a mistyped passphrase, so no ring is used
// twice.
func call[T any](ctx context.Context, k *Keyring, what string, key account.Secret, do func(keyring.Keyring) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		var a answer
		defer func() {
			if p := recover(); p != nil {
				a.err = errors.New("the backend gave an unexpected answer")
			}
			answers <- a
		}()
		ring, err := k.open(k.config(key))
		if err != nil {
			a.err = err
			return
		}
		a.value, a.err = do(ring)
	}()
	select {
	case a := <-answers:
		if a.err != nil {
			return a.value, fmt.Errorf("%s keyring: %s: %w", k.backend, what, a.err)
		}
		return a.value, nil
	case <-ctx.Done():
		var none T
		return none, k.timeout(ctx, what)
	}
}

// timeout is the error of a call whose context ended.
func (k *Keyring) timeout(ctx context.Context, what string) error {
	return fmt.Errorf("%s keyring: %s: %w: %w", k.backend, what, ErrKeyringTimeout, ctx.Err())
}
