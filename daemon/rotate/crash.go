//go:build !rehearsal

package rotate

// crash is where tests let a process die, or a disk be full; nil in earnest. A
// build with the tag rehearsal, which no release has, kills itself there.
func (k *Keeper) crash(point string) error {
	if k.fault == nil {
		return nil
	}
	return k.fault(point)
}
