package rotate

import (
	"slices"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/test/practice"
)

// drainsLast has dev drain a former key that Keystone's list has before the new one.
func (w *world) drainsLast() (former practice.Key) {
	w.Helper()
	former = w.dev()
	for range 64 {
		if _, err := w.beginKey("dev", nil); err != nil {
			w.Fatal(err)
		}
		w.GoOn(w.Context())
		if now := w.active("dev").AccessKeyID; former.Access < now {
			return former
		}
		w.finish()
		former.Access, former.Secret = w.active("dev").AccessKeyID, w.active("dev").Secret.Reveal()
	}
	w.Fatal("the new key always comes first")
	return former
}

// TestReplacedKeyStaysOut: an environment that is removed while a key drains, and
// imported anew, gets the key that replaced it; the former one only where Keystone
// lists no other, and then that is said.
func TestReplacedKeyStaysOut(t *testing.T) {
	for name, gone := range map[string]bool{"both live": false, "only the former lives": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			former := w.drainsLast()
			want := w.active("dev").AccessKeyID
			if err := w.Remove("dev", false); err != nil {
				t.Fatal(err)
			}
			if gone {
				w.cloud.DeleteKey(want)
				want = former.Access
			}
			o := w.offer("dev")
			o.Password = secretOf(w.cloud.Password(w.name()))
			out, err := w.Adopt(t.Context(), o)
			if err != nil || w.active("dev").AccessKeyID != want {
				t.Errorf("%s serves, want %s: %v", w.active("dev").AccessKeyID, want, err)
			}
			if told := slices.ContainsFunc(out.Notes, func(n string) bool { return strings.Contains(n, "was replaced before") }); told != gone {
				t.Errorf("notes %q", out.Notes)
			}
		})
	}
}
