package rotate

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/test/practice"
)

// elsewhere stores dev's pair for another cloud, which nobody has asked about it.
func (w *world) elsewhere(name, url string, key practice.Key) {
	w.Helper()
	s3, err := account.ParseEndpoint(url, false)
	if err != nil {
		w.Fatal(err)
	}
	o := Offer{Name: name, Named: true, By: "import", NoVerify: true, Environment: account.Environment{S3: account.S3{Endpoint: s3}},
		Keys: &account.KeyPair{AccessKeyID: key.Access, Secret: account.NewSecret(key.Secret)}}
	if _, err := w.Adopt(w.Context(), o); err != nil {
		w.Fatal(err)
	}
}

// A key never follows to another origin, and is not deleted while it is served
// there: the plan says so, and so does the rotation.
func TestSharedKeyAtAnotherOrigin(t *testing.T) {
	w := newWorld(t)
	key := w.dev()
	w.elsewhere("other", "https://objects.other.example", key)
	was := w.Contents().Environments["other"]
	if p, err := w.Plan(KindKey, "dev", nil); err != nil || p.Spared != "environment other serves it" {
		t.Errorf("the plan: %+v, %v", p, err)
	}
	if got := Followers(w.Contents(), w.Contents().Environments["dev"]); len(got) != 0 {
		t.Errorf("%v follow to another cloud", got)
	}
	var story []string
	if err := w.Rotate(t.Context(), KindKey, "dev", Wish{Wait: true, Grace: new(time.Duration)}, func(p Progress) { story = append(story, p.Note) }); err != nil {
		t.Fatal(err)
	}
	if told := strings.Join(story, "\n"); !strings.Contains(told, "the former one, "+key.Access+", stays at the cloud: environment other serves it") {
		t.Errorf("told: %s", told)
	}
	is := w.Contents().Environments["other"]
	if v, _ := is.Keys.Active(); v.Value.AccessKeyID != key.Access || !v.HandsOff || v.Accepted || is.Generation != was.Generation {
		t.Errorf("other has %s, hands off %v, accepted %v", v.Value.AccessKeyID, v.HandsOff, v.Accepted)
	}
	if !slices.Contains(w.keys(), key.Access) || w.active("dev").AccessKeyID == key.Access || w.journal() != nil {
		t.Errorf("at the cloud are %v, journal %+v", w.keys(), w.journal())
	}
	w.serves()
	if err := w.Remove("other", false); err != nil {
		t.Fatal(err)
	}
	_ = w.Verify(t.Context(), "dev", true)
	if got := ForeignKeys(w.Contents(), w.Contents().Environments["dev"]); !slices.Equal(got, []string{key.Access}) {
		t.Errorf("told of %v", got)
	}
}

// What only a person's verify may send stays so, whichever key it is: by a
// rotation, and by a Regenerate that was noticed.
func TestSharedKeyKeepsHandsOff(t *testing.T) {
	for _, regenerated := range []bool{false, true} {
		w := newWorld(t)
		key := w.dev()
		w.elsewhere("profile", w.cloud.S3URL, key)
		if regenerated {
			w.cloud.CreateKey(w.cloud.User.Name, w.cloud.User.Projects["dev-ccontini"])
			w.cloud.DeleteKey(key.Access)
			if err := w.Verify(t.Context(), "dev", true); err != nil {
				t.Fatal(err)
			}
		} else if err := w.Rotate(t.Context(), KindKey, "dev", Wish{}, silent); err != nil {
			t.Fatal(err)
		}
		e := w.Contents().Environments["profile"]
		if v, _ := e.Keys.Active(); v.Value != w.active("dev") || v.Value.AccessKeyID == key.Access || !v.HandsOff || KeyState(e) != StateUnverified {
			t.Errorf("regenerated %v: profile has %s, hands off %v, %s", regenerated, v.Value.AccessKeyID, v.HandsOff, KeyState(e))
		}
		w.cloud.ResetCounts()
		_ = w.Verify(t.Context(), "profile", false)
		if n := w.cloud.Count("s3:*"); n != 0 {
			t.Errorf("regenerated %v: it was sent %d times without a person", regenerated, n)
		}
	}
}

// A new key that is withdrawn is not deleted where somebody has put it in force.
func TestSharedKeyIsNotWithdrawn(t *testing.T) {
	w := newWorld(t)
	w.dev()
	if _, err := w.beginKey("dev", nil); err != nil {
		t.Fatal(err)
	}
	w.cloud.Fail(practice.Fault{Route: "s3:ListBuckets", Status: 403, Body: "<Error><Code>SignatureDoesNotMatch</Code></Error>"})
	w.GoOn(t.Context())
	made, _ := w.Contents().Environments["dev"].Keys.Find(w.journal().New)
	w.elsewhere("profile", w.cloud.S3URL, practice.Key{Access: made.Value.AccessKeyID, Secret: made.Value.Secret.Reveal()})
	for range 4 {
		w.clock.step(proveWithin / 2)
		w.GoOn(t.Context())
	}
	if w.journal() != nil || !slices.Contains(w.keys(), made.Value.AccessKeyID) || w.active("profile") != made.Value {
		t.Errorf("profile serves %s, at the cloud are %v, journal %+v", w.active("profile").AccessKeyID, w.keys(), w.journal())
	}
}

// An endpoint that hangs over the keys of one environment without a user holds up
// no other: S3 counts no failed logins that a gate would have to bound.
func TestGateOfKeysAlone(t *testing.T) {
	w := newWorld(t)
	key := w.dev()
	asked, over := make(chan struct{}, 9), make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-over:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(hanging.Close)
	endpoint, err := account.ParseEndpoint(hanging.URL, false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Adopt(t.Context(), Offer{
		Name: "hung", Named: true, By: "person", NoVerify: true,
		Environment: account.Environment{S3: account.S3{Endpoint: endpoint, Region: "us-east-1"}},
		Keys:        &account.KeyPair{AccessKeyID: "AK", Secret: secretOf("SK")},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.alone("fine", key)
	ended := make(chan error, 1)
	go func() { ended <- w.Verify(context.WithoutCancel(t.Context()), "hung", true) }()
	<-asked
	if err := w.Verify(t.Context(), "fine", true); err != nil {
		t.Error(err)
	}
	select {
	case <-ended:
		t.Error("it waited for the endpoint that hangs")
	default:
	}
	close(over)
	<-ended
}
