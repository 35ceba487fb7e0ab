package conformance

import (
	"strings"
	"time"

	"github.com/cloud-ca/ccad/test/practice"
)

// This file has the scenarios of the password change and Keystone's policies.

// change is the self-service change, without a token.
func (s *session) change(label, old, new string) answer {
	s.t.Helper()
	return s.keystone(label, "POST", "/users/"+s.user.id+"/password", "",
		object{"user": object{"original_password": old, "password": new}})
}

// login tries a password.
func (s *session) login(label, password string) string {
	s.t.Helper()
	a := s.keystone(label, "POST", "/auth/tokens?nocatalog", "", s.byPassword(password, inProject(s.user.projects[0])))
	return a.Header.Get("X-Subject-Token")
}

func passwordChange(s *session) {
	path := "/users/" + s.user.id + "/password"
	s.keystone("empty", "POST", path, "", object{})
	s.keystone("no old", "POST", path, "", object{"user": object{"password": "x"}})
	s.keystone("no new", "POST", path, "", object{"user": object{"original_password": "x"}})
	s.keystone("null", "POST", path, "", object{"user": object{"password": nil, "original_password": "hunter2"}})
	s.keystone("a number", "POST", path, "", object{"user": object{"password": 5, "original_password": "hunter2"}})
	s.change("wrong old", "wrong", "x")
	s.keystone("unknown user", "POST", "/users/nobody/password", "", object{"user": object{"password": "x", "original_password": "y"}})

	token, other := s.token("hunter2", 0), s.token("hunter2", 1)
	made := s.keystone("an application credential", "POST", "/users/"+s.user.id+"/application_credentials", token,
		object{"application_credential": object{"name": "ac", "secret": "chosen"}})
	by := auth("application_credential", object{"id": made.json(s.t, "application_credential.id"), "secret": "chosen"}, nil)
	delegated := s.keystone("its token", "POST", "/auth/tokens?nocatalog", "", by).Header.Get("X-Subject-Token")
	key := s.on.createKey(s.t, s.user.name, s.user.projects[0].id)

	s.change("change", "hunter2", "second")
	s.login("the old one", "hunter2")
	s.keystone("a token", "GET", "/auth/projects", token, nil)
	s.keystone("another project's", "GET", "/auth/projects", other, nil)
	s.keystone("the application credential's", "GET", "/auth/projects", delegated, nil)
	s.s3(key).do("an S3 key", "GET", "/", nil)
	nextSecond()
	s.keystone("with the new one", "GET", "/auth/projects", s.login("the new one", "second"), nil)
	s.keystone("the application credential lives", "POST", "/auth/tokens?nocatalog", "", by)

	s.sameSecond()
	s.change("to itself", "third", "third")
	s.change("to 80 bytes", "third", strings.Repeat("12345678", 10))
	nextSecond()
	s.login("its first 72 bytes", strings.Repeat("12345678", 9))
	s.login("its first 71", strings.Repeat("12345678", 9)[:71])
	s.change("to UTF-8", strings.Repeat("12345678", 9), "pässwörd ☃ '\"$`")
	nextSecond()
	s.login("in UTF-8", "pässwörd ☃ '\"$`")
	token = s.token("pässwörd ☃ '\"$`", 0)
	s.on.setPassword(s.t, s.user.name, "reset")
	s.keystone("a token after an administrator's reset", "GET", "/auth/projects", token, nil)
	nextSecond()
	s.login("after the reset", "reset")
}

// sameSecond changes the password from second to third and gets a token within
// one second, as often as that takes.
func (s *session) sameSecond() {
	old, new := "second", "third"
	for range 10 {
		nextSecond()
		s.send(s.request("POST", s.on.auth+"/users/"+s.user.id+"/password",
			object{"user": object{"original_password": old, "password": new}}))
		changed := time.Now().Unix()
		token := s.token(new, 0)
		if time.Now().Unix() == changed {
			s.keystone("a token issued in the same second is born revoked", "GET", "/auth/projects", token, nil)
			nextSecond()
			s.keystone("and stays so", "GET", "/auth/projects", token, nil)
			if new != "third" {
				s.send(s.request("POST", s.on.auth+"/users/"+s.user.id+"/password",
					object{"user": object{"original_password": new, "password": "third"}}))
			}
			return
		}
		old, new = new, old
	}
	s.t.Fatal("never was a change and a token within one second")
}

func disabledUser(s *session) {
	token := s.token("hunter2", 0)
	key := s.on.createKey(s.t, s.user.name, s.user.projects[0].id)
	made := s.keystone("an application credential", "POST", "/users/"+s.user.id+"/application_credentials", token,
		object{"application_credential": object{"name": "ac", "secret": "chosen"}})
	by := auth("application_credential", object{"id": made.json(s.t, "application_credential.id"), "secret": "chosen"}, nil)
	s.on.enable(s.t, s.user.name, false)
	s.login("login", "hunter2")
	s.login("login with a wrong password", "wrong")
	s.change("change", "hunter2", "x")
	s.change("change with a wrong password", "wrong", "x")
	s.keystone("a token", "GET", "/auth/projects", token, nil)
	s.keystone("the application credential", "POST", "/auth/tokens?nocatalog", "", by)
	s.s3(key).do("an S3 key", "GET", "/", nil)
	s.on.enable(s.t, s.user.name, true)
	s.keystone("a token when enabled again", "GET", "/auth/projects", token, nil)
	nextSecond()
	s.login("login when enabled again", "hunter2")
	s.s3(key).do("an S3 key when enabled again", "GET", "/", nil)
}

// policyLockout has what can be in force together: lockout, history,
// requirements and expiry.
func policyLockout(s *session) {
	const ini = `[security_compliance]
lockout_failure_attempts = 3
lockout_duration = 3
unique_last_password_count = 3
password_expires_days = 90
password_regex = ^(?=.*[0-9]).{4,}$
password_regex_description = four characters, one of them a digit
`
	s.on.policy(s.t, practice.Policy{
		LockoutAttempts: 3, LockoutDuration: 3 * time.Second, UniqueLast: 3, ExpiresDays: 90,
		Accept:       func(p string) bool { return len(p) >= 4 && strings.ContainsAny(p, "0123456789") },
		Requirements: "four characters, one of them a digit",
	}, ini)
	s.user = s.freshUser()
	s.login("expires in 90 days", "hunter2")
	token := s.token("hunter2", 0)
	s.change("too short", "hunter2", "a1")
	s.change("no digit", "hunter2", "abcdef")
	s.change("empty", "hunter2", "")
	s.change("too short with a wrong password", "wrong", "a1")
	s.login("the right one forgives", "hunter2")
	s.change("the same", "hunter2", "hunter2")
	s.login("wrong 1", "wrong")
	s.login("wrong 2", "wrong")
	s.change("wrong 3", "wrong", "hunter3")
	s.login("right but locked", "hunter2")
	s.login("wrong while locked", "wrong")
	s.change("change while locked", "hunter2", "hunter3")
	s.keystone("a token while locked", "GET", "/auth/projects", token, nil)
	time.Sleep(3100 * time.Millisecond) // lockout_duration, by the server's clock
	s.login("after the lockout", "hunter2")

	s.change("to 3", "hunter2", "hunter3")
	s.change("to 4", "hunter3", "hunter4")
	s.change("back to 2", "hunter4", "hunter2")
	s.change("back to 3", "hunter4", "hunter3")
	s.change("to 5", "hunter4", "hunter5")
	s.change("back to 2 after three others", "hunter5", "hunter2")

	s.login("wrong 1", "wrong")
	s.login("wrong 2", "wrong")
	s.login("wrong 3", "wrong")
	s.on.setPassword(s.t, s.user.name, "reset1")
	nextSecond()
	s.login("a reset and the lockout", "reset1")
}

// policyAge has a minimum age and the change at first use.
func policyAge(s *session) {
	const ini = `[security_compliance]
minimum_password_age = 1
change_password_upon_first_use = true
`
	s.on.policy(s.t, practice.Policy{MinimumAge: 1, ChangeAtFirstUse: true}, ini)
	s.user = s.freshUser()
	s.login("must change", "hunter2")
	s.login("must change and wrong", "wrong")
	s.change("change with a wrong password", "wrong", "second")
	s.change("change", "hunter2", "second")
	nextSecond()
	s.login("changed", "second")
	s.change("too young", "second", "third")
	s.on.setPassword(s.t, s.user.name, "reset")
	nextSecond()
	s.login("must change after a reset", "reset")
	s.change("change after a reset", "reset", "fourth")
	nextSecond()
	s.login("changed again", "fourth")
}

// freshUser makes a user under the policy that has just been set.
func (s *session) freshUser() account {
	u := s.on.newUser(s.t, "first", "second")
	s.names = append([]string{u.id, "USER-ID", u.name, "USER", u.projects[0].id, "PROJECT1-ID", u.projects[0].name, "PROJECT1",
		u.projects[1].id, "PROJECT2-ID", u.projects[1].name, "PROJECT2"}, s.names...)
	return u
}
