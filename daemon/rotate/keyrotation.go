package rotate

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloud"
	"github.com/cloud-ca/ccad/daemon/vault"
)

// s3Keys is the kind whose values are S3 key pairs. What is alive and what is
// dead Keystone's list says: a 403 of S3 is the same for a dead key, a wrong
// secret and a Keystone out of reach.
type s3Keys struct{}

func (s3Keys) subject(name string) string                    { return "the S3 key of " + name }
func (s3Keys) journal(e *vault.Environment) **vault.Rotation { return &e.KeyRotation }
func (s3Keys) held(h Held) int                               { return h.Keys }

func (s3Keys) version(e vault.Environment, id string) (version, bool) {
	return versionOf(e, e.Keys, id, func(pair account.KeyPair) string { return pair.AccessKeyID })
}

// foundAlone is the source of a pair that is ours by all that one can tell, and
// perhaps is not: it is served, and never deleted.
const foundAlone = "found"

func (s3Keys) may(e vault.Environment, u vault.User) error {
	active, ok := u.Passwords.Active()
	switch {
	case !ok:
		return fmt.Errorf("rotating the S3 key of %s needs its user's password, which ccad does not have: %w", e.Name, ErrPortal)
	case u.Refused != nil:
		return standing(u)
	case active.HandsOff:
		return handsOff(u)
	case e.Binding.HandsOff:
		return untouched(e)
	}
	return nil
}

func (s3Keys) intend(e *vault.Environment, now time.Time) (intended, former string) {
	active, _ := e.Keys.Active()
	keys, v := e.Keys.Stage(cloud.NewKeyPair(), "rotation", now)
	e.Keys = keys
	return v.ID, active.ID
}

func (s3Keys) look(r *run) (err error) {
	r.pairs, err = r.listed()
	r.pairs = r.deleteAgain(r.ctx, r.user, r.env, r.grant, r.pairs)
	return err
}

func (s3Keys) alive(r *run, id string) bool {
	v, ok := r.env.Keys.Find(id)
	return ok && holds(r.pairs, v.Value)
}

func (s3Keys) activate(r *run, c *vault.Contents, e *vault.Environment, id string) {
	v, _ := e.Keys.Find(id)
	follow(c, *e, v, r.now())
	e.Keys, e.KeysRefused = e.Keys.Activate(id), nil
}

func (s3Keys) drop(r *run, c *vault.Contents, e *vault.Environment, id string) {
	v, _ := e.Keys.Find(id)
	forgetCopies(c, *e, v.Value)
	e.Keys, e.KeysListed = e.Keys.Drop(id), accessKeys(r.pairs)
	if v.Source == "rotation" {
		e.KeysDeleted = remembered(e.KeysDeleted, v.Value.AccessKeyID, e.KeysListed, r.now())
	}
}

func (s3Keys) remove(r *run, id string) error {
	v, _ := r.env.Keys.Find(id)
	ctx, cancel := detached(r.ctx)
	defer cancel()
	return r.cloud.DeleteKey(ctx, r.user.User, r.grant, v.Value.AccessKeyID)
}

// listed returns the pairs that Keystone has for the environment. A cached token
// may have died with a password since: then once more with a new one.
func (r *run) listed() ([]account.KeyPair, error) {
	if _, ok := r.user.Passwords.Active(); !ok {
		return nil, lacking("rotating the S3 key of " + r.env.Name + " needs its user's password")
	}
	var cached bool
	if r.grant, cached = r.cachedToken(r.env.ID); cached {
		pairs, err := r.listedKeys(r.ctx, r.user, r.grant)
		if !errors.Is(err, cloud.ErrRefused) {
			return pairs, err
		}
		r.forget("", []string{r.env.ID})
	}
	var err error
	if r.grant, err = r.scopedLocked(r.ctx, r.user, r.env); err != nil {
		return nil, err
	}
	return r.listedKeys(r.ctx, r.user, r.grant)
}

func holds(pairs []account.KeyPair, pair account.KeyPair) bool {
	return slices.ContainsFunc(pairs, func(p account.KeyPair) bool {
		return p.AccessKeyID == pair.AccessKeyID && p.Secret.Equal(pair.Secret)
	})
}

// create asks for the intended pair. One that is listed already was made before
// the answer, or this process, was lost.
func (s3Keys) create(r *run) (outcome, edit, error) {
	intended, ok := r.env.Keys.Find(r.rotation.New)
	switch {
	case !ok:
		return refused, because("the intended key is no longer stored"), nil
	case holds(r.pairs, intended.Value):
		return made, nil, nil
	case r.rotation.Chosen:
		return r.createAnyKey(intended)
	}
	ctx, cancel := detached(r.ctx)
	defer cancel()
	_, err := r.cloud.CreateIntendedKey(ctx, r.user.User, r.grant, intended.Value)
	if err := r.crash("create: sent"); err != nil {
		return "", nil, err
	}
	switch {
	case err == nil:
		return made, nil, nil
	case errors.Is(err, cloud.ErrNotOffered):
		return forbidden, func(_ *vault.Contents, _ *vault.Environment, j *vault.Rotation) { j.Chosen = true }, nil
	}
	return r.notMade(err)
}

// createAnyKey has the cloud choose the pair. What is listed before that is on
// record is others'. It is asked only while nothing new is listed, so that a lost
// answer leaves one key; where there are several, nobody can tell which is ours.
func (r *run) createAnyKey(intended vault.Version[account.KeyPair]) (outcome, edit, error) {
	strangers := slices.DeleteFunc(slices.Clone(r.pairs), func(pair account.KeyPair) bool {
		recorded := func(v vault.Version[account.KeyPair]) bool { return v.Value.AccessKeyID == pair.AccessKeyID }
		return slices.ContainsFunc(r.env.Keys.List, recorded) || slices.Contains(r.rotation.Known, pair.AccessKeyID)
	})
	now := r.now()
	if r.rotation.Asked.IsZero() {
		return asking, func(_ *vault.Contents, _ *vault.Environment, j *vault.Rotation) {
			j.Asked, j.Known = now, append(slices.Clone(j.Known), accessKeys(strangers)...)
		}, nil
	}
	var pair account.KeyPair
	source := "rotation"
	switch len(strangers) {
	case 0:
		ctx, cancel := detached(r.ctx)
		defer cancel()
		var err error
		pair, err = r.cloud.CreateAnyKey(ctx, r.user.User, r.grant)
		if err := r.crash("create: sent"); err != nil {
			return "", nil, err
		}
		if err != nil {
			return r.notMade(err)
		}
	case 1:
		pair, source = strangers[0], foundAlone
	default:
		return refused, because("several keys appeared at the cloud, and which is ours can't be told"), nil
	}
	return made, func(_ *vault.Contents, e *vault.Environment, j *vault.Rotation) {
		keys, v := e.Keys.Drop(intended.ID).Stage(pair, source, now)
		e.Keys, j.New = keys, v.ID
	}, nil
}

func accessKeys(pairs []account.KeyPair) (ids []string) {
	for _, pair := range pairs {
		ids = append(ids, pair.AccessKeyID)
	}
	return ids
}

// notMade tells a no from silence. A token that died meanwhile is no no.
func (r *run) notMade(err error) (outcome, edit, error) {
	answer := (*cloud.Error)(nil)
	dead := errors.As(err, &answer) && answer.Status == http.StatusUnauthorized
	if dead {
		r.forget("", []string{r.env.ID})
	}
	if dead || errors.Is(err, cloud.ErrUnreachable) || errors.Is(err, cloud.ErrLimited) {
		return "", nil, err
	}
	return refused, func(_ *vault.Contents, _ *vault.Environment, j *vault.Rotation) {
		j.Reason, j.Denied = err.Error(), cloud.Denied(err)
	}, nil
}

func because(reason string) edit {
	return func(_ *vault.Contents, _ *vault.Environment, j *vault.Rotation) { j.Reason = reason }
}

// proveWithin is how long S3 may refuse a key that Keystone lists before the
// rotation is withdrawn.
const proveWithin = 10 * time.Minute

// prove sees that Keystone has the new pair and S3 accepts it.
func (s3Keys) prove(r *run) (outcome, edit, error) {
	v, ok := r.env.Keys.Find(r.rotation.New)
	if !ok || !holds(r.pairs, v.Value) {
		return missing, nil, nil
	}
	s3, err := r.env.S3, error(nil)
	if !s3.Endpoint.IsZero() {
		s3, _, err = r.probeS3(r.ctx, s3, v.Value)
	}
	switch {
	case err == nil:
	case errors.Is(err, cloud.ErrUnreachable), errors.Is(err, cloud.ErrLimited), r.now().Before(r.rotation.Since.Add(proveWithin)):
		return "", nil, fmt.Errorf("the new S3 key of %s is at Keystone, but %w", r.env.Name, err)
	default:
		return late, because(err.Error()), nil
	}
	now := r.now()
	return proved, func(_ *vault.Contents, e *vault.Environment, j *vault.Rotation) {
		if v, ok := e.Keys.Find(j.New); ok {
			v.Accepted, v.HandsOff, v.Checked = true, false, now
			e.Keys = e.Keys.With(v)
		}
		e.S3.Region = s3.Region
	}, nil
}
