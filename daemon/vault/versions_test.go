package vault

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cloud-ca/ccad/daemon/account"
)

// A history does anything to Versions, in any order, and remembers every value
// it ever had.
type history struct {
	vs    Versions[account.Secret]
	used  map[int]string // N to ID
	taken []snapshot
}

type snapshot struct {
	vs, copy Versions[account.Secret] // the copy shares no slice with vs
}

func (h *history) become(vs Versions[account.Secret]) {
	h.vs = vs
	h.taken = append(h.taken, snapshot{vs, Versions[account.Secret]{List: slices.Clone(vs.List), Next: vs.Next}})
}

func (h *history) any(t *rapid.T) Version[account.Secret] {
	if len(h.vs.List) == 0 {
		return Version[account.Secret]{ID: "unknown"}
	}
	return rapid.SampledFrom(h.vs.List).Draw(t, "version")
}

func TestVersionsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &history{used: map[int]string{}}
		state := rapid.SampledFrom([]State{Pending, Active, Retiring, Refused})
		t.Repeat(map[string]func(*rapid.T){
			"stage": func(t *rapid.T) {
				value := account.NewSecret(rapid.StringMatching(`[a-e]`).Draw(t, "value"))
				held, had := h.vs.Holding(value)
				vs, v := h.vs.Stage(value, "person", time.Unix(1, 0))
				if had && v != held {
					t.Fatalf("a value that was held came back as %+v, not %+v", v, held)
				}
				if found, ok := vs.Find(v.ID); !ok || found != v {
					t.Fatal("what was staged isn't there")
				}
				if id, ok := h.used[v.N]; ok && id != v.ID {
					t.Fatalf("number %d was used before", v.N)
				}
				h.used[v.N] = v.ID
				h.become(vs)
			},
			"activate": func(t *rapid.T) {
				v := h.any(t)
				h.become(h.vs.Activate(v.ID))
				if active, ok := h.vs.Active(); v.ID != "unknown" && (!ok || active.ID != v.ID) {
					t.Fatal("the activated version isn't the active one")
				}
			},
			"with": func(t *rapid.T) {
				v := h.any(t)
				n := v.N
				v.State, v.N, v.Source = state.Draw(t, "state"), v.N+rapid.IntRange(0, 3).Draw(t, "n"), "seven"
				h.become(h.vs.With(v))
				if found, ok := h.vs.Find(v.ID); ok && (found.N != n || found.Source != "seven" || found.State != v.State) {
					t.Fatalf("With made it %+v", found)
				}
			},
			"drop": func(t *rapid.T) {
				v := h.any(t)
				h.become(h.vs.Drop(v.ID))
				if _, ok := h.vs.Find(v.ID); ok {
					t.Fatal("what was dropped is there")
				}
			},
			"": func(t *rapid.T) { h.check(t) },
		})
	})
}

func (h *history) check(t *rapid.T) {
	active, numbers := 0, map[int]bool{}
	for _, v := range h.vs.List {
		if v.State == Active {
			active++
		}
		if numbers[v.N] || v.N >= h.vs.Next || v.N < 1 {
			t.Fatalf("number %d: twice, or not below the next, %d", v.N, h.vs.Next)
		}
		numbers[v.N] = true
	}
	if active > 1 {
		t.Fatalf("%d versions are active", active)
	}
	for i, s := range h.taken {
		if !slices.Equal(s.vs.List, s.copy.List) || s.vs.Next != s.copy.Next {
			t.Fatalf("snapshot %d of %d changed after it was taken", i+1, len(h.taken))
		}
	}
}

func TestStageKeepsRefused(t *testing.T) {
	pair := account.KeyPair{AccessKeyID: "ak", Secret: account.NewSecret("sk")}
	vs, v := Versions[account.KeyPair]{}.Stage(pair, "import", time.Unix(1, 0))
	if v.N != 1 || v.State != Pending || v.ID == "" || !v.Created.Equal(time.Unix(1, 0)) || v.Source != "import" {
		t.Errorf("staged %+v", v)
	}
	v.State = Refused
	vs, again := vs.With(v).Stage(pair, "person", time.Unix(2, 0))
	if again != v || len(vs.List) != 1 {
		t.Errorf("a refused value was staged again: %+v", again)
	}
	half := pair
	half.Secret = account.NewSecret("other")
	if _, ok := vs.Holding(half); ok {
		t.Error("half a key pair is taken for the whole")
	}
}
