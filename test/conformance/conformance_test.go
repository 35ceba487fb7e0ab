package conformance

import (
	"crypto/rand"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cloud-ca/ccad/test/lab"
	"github.com/cloud-ca/ccad/test/practice"
)

var update = flag.Bool("update", false, "write the transcripts of the real cloud to testdata")

// target is a cloud under test and what its administrator can do.
type target struct {
	auth, s3, s3us string
	newUser        func(t *testing.T, projects ...string) account
	createKey      func(t *testing.T, user, projectID string) key
	setPassword    func(t *testing.T, user, password string)
	enable         func(t *testing.T, user string, on bool)
	leave          func(t *testing.T, user, projectID string)
	policy         func(t *testing.T, p practice.Policy, ini string)
}

type account struct {
	id, name, password string
	projects           []project
}

type project struct{ id, name string }

type key struct{ access, secret string }

// scenario is one transcript. Those with a policy change the cloud for
// everybody and are kept away from a lab that others share.
type scenario struct {
	name string
	own  bool
	run  func(*session)
}

var scenarios = []scenario{
	{"versions", false, versions},
	{"password-tokens", false, passwordTokens},
	{"token-use", false, tokenUse},
	{"rescoping", false, rescoping},
	{"ec2-keys", false, ec2Keys},
	{"credentials", false, credentials},
	{"application-credentials", false, applicationCredentials},
	{"delegated-tokens", false, delegatedTokens},
	{"password-change", false, passwordChange},
	{"disabled-user", false, disabledUser},
	{"policy-lockout", true, policyLockout},
	{"policy-age", true, policyAge},
	{"swift-accounts", false, swiftAccounts},
	{"swift-containers", false, swiftContainers},
	{"swift-objects", false, swiftObjects},
	{"s3-signatures", false, s3Signatures},
	{"s3-presigned", false, s3Presigned},
	{"s3-whose", false, s3Whose},
	{"s3-buckets", false, s3Buckets},
	{"s3-listings", false, s3Listings},
	{"s3-objects", false, s3Objects},
	{"s3-delete-objects", false, s3DeleteObjects},
	{"s3-multipart", false, s3Multipart},
	{"s3-complete", false, s3Complete},
	{"s3-refusals", false, s3Refusals},
}

func TestPractice(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c, err := practice.Start(practice.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			compare(t, s, record(t, s, practiceTarget(c)))
		})
	}
}

func TestReal(t *testing.T) {
	own := realTarget(lab.Start(t, lab.Options{Own: true}))
	shared := own
	if os.Getenv("CCAD_LAB") != "" {
		shared = realTarget(lab.Start(t, lab.Options{}))
	}
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			on := shared
			if s.own {
				on = own
			}
			got := record(t, s, on)
			if *update && !t.Failed() {
				if err := os.WriteFile(golden(s), []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			compare(t, s, got)
		})
	}
}

// TestNothingStale finds transcripts that no scenario writes any more.
func TestNothingStale(t *testing.T) {
	files, err := filepath.Glob("testdata/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !slices.ContainsFunc(scenarios, func(s scenario) bool { return golden(s) == file }) {
			t.Errorf("%s is of no scenario", file)
		}
	}
}

func golden(s scenario) string { return filepath.Join("testdata", s.name+".txt") }

func compare(t *testing.T, s scenario, got string) {
	t.Helper()
	want, err := os.ReadFile(golden(s))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("differs from the real cloud's transcript %s (-real +here):\n%s", golden(s), diff)
	}
}

func practiceTarget(c *practice.Cloud) *target {
	return &target{
		auth: c.AuthURL, s3: c.S3URL, s3us: c.S3URLUS,
		newUser: func(t *testing.T, projects ...string) account {
			suffix := strings.ToLower(rand.Text()[:8])
			for i := range projects {
				projects[i] += "-" + suffix
			}
			u := c.AddUser("system-ccontini-"+suffix, "hunter2", projects...)
			return newAccount(u.ID, u.Name, u.Password, u.Projects, projects)
		},
		createKey: func(t *testing.T, user, projectID string) key {
			k := c.CreateKey(user, projectID)
			return key{k.Access, k.Secret}
		},
		setPassword: func(t *testing.T, user, password string) { c.SetPassword(user, password) },
		enable:      func(t *testing.T, user string, on bool) { c.Enable(user, on) },
		leave:       func(t *testing.T, user, projectID string) { c.LeaveProject(user, projectID) },
		policy:      func(t *testing.T, p practice.Policy, ini string) { c.SetPolicy(p) },
	}
}

func realTarget(l *lab.Lab) *target {
	return &target{
		auth: l.AuthURL, s3: l.S3URL, s3us: l.S3URLUS,
		newUser: func(t *testing.T, projects ...string) account {
			u := l.NewUser(t, projects...)
			suffix := u.Name[strings.LastIndex(u.Name, "-"):]
			for i := range projects {
				projects[i] += suffix
			}
			return newAccount(u.ID, u.Name, u.Password, u.Projects, projects)
		},
		createKey: func(t *testing.T, user, projectID string) key {
			k := l.CreateKey(t, user, projectID)
			return key{k.Access, k.Secret}
		},
		setPassword: func(t *testing.T, user, password string) { l.SetPassword(t, user, password) },
		enable: func(t *testing.T, user string, on bool) {
			if on {
				l.EnableUser(t, user)
			} else {
				l.DisableUser(t, user)
			}
		},
		leave:  func(t *testing.T, user, projectID string) { l.LeaveProject(t, user, projectID) },
		policy: func(t *testing.T, p practice.Policy, ini string) { l.Configure(t, ini) },
	}
}

func newAccount(id, name, password string, ids map[string]string, names []string) account {
	a := account{id: id, name: name, password: password}
	for _, name := range names {
		a.projects = append(a.projects, project{ids[name], name})
	}
	return a
}

// nextSecond waits for the next whole second: tokens issued in the second of a
// password change are born revoked.
func nextSecond() {
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second + 20*time.Millisecond)))
}
