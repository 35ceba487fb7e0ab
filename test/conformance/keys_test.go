package conformance

import "fmt"

// This file has the scenarios of EC2 keys and application credentials.

func ec2Keys(s *session) {
	token, unscoped := s.token(s.user.password, 0), s.token(s.user.password, -1)
	keys := "/users/" + s.user.id + "/credentials/OS-EC2"
	s.keystone("none", "GET", keys, token, nil)
	made := s.keystone("create", "POST", keys, token, object{"tenant_id": s.user.projects[0].id})
	access := made.json(s.t, "credential.access")
	s.keystone("create for another project", "POST", keys, token, object{"tenant_id": s.user.projects[1].id})
	s.keystone("create unscoped", "POST", keys, unscoped, object{"tenant_id": s.user.projects[1].id})
	s.keystone("list", "GET", keys, token, nil)
	s.keystone("list unscoped", "GET", keys, unscoped, nil)
	s.keystone("show", "GET", keys+"/"+access, token, nil)
	s.keystone("show none", "GET", keys+"/nothing", token, nil)
	s.keystone("unknown project", "POST", keys, token, object{"tenant_id": "nothing"})
	s.keystone("no project", "POST", keys, token, object{})
	s.keystone("no body", "POST", keys, token, nil)
	s.keystone("no token", "GET", keys, "", nil)
	s.keystone("bad token", "GET", keys, "bad", nil)

	other := s.on.newUser(s.t, "other")
	theirs := s.on.createKey(s.t, other.name, other.projects[0].id)
	s.volatile(other.id, "OTHER-ID")
	foreign := "/users/" + other.id + "/credentials/OS-EC2"
	s.keystone("list another's", "GET", foreign, token, nil)
	s.keystone("create another's", "POST", foreign, token, object{"tenant_id": other.projects[0].id})
	s.keystone("show another's", "GET", foreign+"/"+theirs.access, token, nil)
	s.keystone("show another's as mine", "GET", keys+"/"+theirs.access, token, nil)
	s.keystone("delete another's", "DELETE", foreign+"/"+theirs.access, token, nil)
	s.keystone("for a project where the user is nobody", "POST", keys, token, object{"tenant_id": other.projects[0].id})

	s.keystone("delete", "DELETE", keys+"/"+access, token, nil)
	s.keystone("delete again", "DELETE", keys+"/"+access, token, nil)
	s.keystone("list the rest", "GET", keys, token, nil)
}

func credentials(s *session) {
	token, unscoped := s.token(s.user.password, 0), s.token(s.user.password, -1)
	create := func(label, token string, fields object) answer {
		all := object{"type": "ec2", "user_id": s.user.id, "project_id": s.user.projects[0].id}
		for name, value := range fields {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
		return s.keystone(label, "POST", "/credentials", token, object{"credential": all})
	}
	blob := func(access string) string {
		return fmt.Sprintf(`{"access": "%s-%s", "secret": "chosen"}`, access, s.user.id)
	}
	made := create("chosen pair", token, object{"blob": blob("a")})
	id := made.json(s.t, "credential.id")
	create("the same again", token, object{"blob": blob("a")})
	create("for another project", token, object{"blob": blob("b"), "project_id": s.user.projects[1].id})
	create("unscoped", unscoped, object{"blob": blob("c")})
	create("no project", token, object{"blob": blob("d"), "project_id": nil})
	create("no user", token, object{"blob": blob("d"), "user_id": nil})
	create("another user", token, object{"blob": blob("d"), "user_id": "nobody"})
	create("no blob", token, nil)
	create("a blob that is no JSON", token, object{"blob": "x"})
	create("an empty blob", token, object{"blob": "{}"})
	create("no access key", token, object{"blob": `{"secret": "x"}`})
	create("another type", token, object{"type": "cert", "blob": "x", "project_id": nil})
	s.keystone("no token", "POST", "/credentials", "", object{})
	s.keystone("list", "GET", "/credentials", token, nil)
	s.keystone("list by type and user", "GET", "/credentials?type=cert&user_id="+s.user.id, token, nil)
	s.keystone("list another's", "GET", "/credentials?user_id=nobody", token, nil)
	s.keystone("the same in OS-EC2", "GET", "/users/"+s.user.id+"/credentials/OS-EC2", token, nil)
	s.keystone("show", "GET", "/credentials/"+id, token, nil)
	s.keystone("show none", "GET", "/credentials/nothing", token, nil)
	s.keystone("delete", "DELETE", "/credentials/"+id, token, nil)
	s.keystone("delete again", "DELETE", "/credentials/"+id, token, nil)
	s.keystone("delete by OS-EC2", "DELETE", "/users/"+s.user.id+"/credentials/OS-EC2/b-"+s.user.id, token, nil)
}

func applicationCredentials(s *session) {
	token, unscoped := s.token(s.user.password, 0), s.token(s.user.password, -1)
	path := "/users/" + s.user.id + "/application_credentials"
	create := func(label, token string, fields object) answer {
		return s.keystone(label, "POST", path, token, object{"application_credential": fields})
	}
	s.keystone("none", "GET", path, token, nil)
	made := create("create", token, object{"name": "plain"})
	id, secret := made.json(s.t, "application_credential.id"), made.json(s.t, "application_credential.secret")
	create("the same name", token, object{"name": "plain"})
	create("with everything", token, object{"name": "full", "secret": "chosen", "description": "d",
		"expires_at": "2035-01-01T00:00:00.000000Z", "unrestricted": true})
	create("with one role", token, object{"name": "narrow", "roles": []object{{"name": "reader"}}})
	create("with a role that the user has not", token, object{"name": "wide", "roles": []object{{"name": "admin"}}})
	create("unscoped", unscoped, object{"name": "unscoped"})
	create("expired", token, object{"name": "expired", "expires_at": "2015-01-01T00:00:00.000000Z"})
	create("no name", token, object{})
	s.keystone("list", "GET", path, token, nil)
	s.keystone("list by name", "GET", path+"?name=full", token, nil)
	s.keystone("show", "GET", path+"/"+id, token, nil)
	s.keystone("show none", "GET", path+"/nothing", token, nil)
	s.keystone("list another's", "GET", "/users/nobody/application_credentials", token, nil)
	s.keystone("create another's", "POST", "/users/nobody/application_credentials", token, object{"application_credential": object{"name": "x"}})

	const tokens = "/auth/tokens?nocatalog"
	by := func(label string, data object, scope any) answer {
		return s.keystone(label, "POST", tokens, "", auth("application_credential", data, scope))
	}
	got := by("auth", object{"id": id, "secret": secret}, nil).Header.Get("X-Subject-Token")
	by("auth by name and user id", object{"name": "plain", "user": object{"id": s.user.id}, "secret": secret}, nil)
	by("auth by name and user", object{"name": "plain", "user": object{"name": s.user.name, "domain": byID}, "secret": secret}, nil)
	by("with a scope", object{"id": id, "secret": secret}, inProject(s.user.projects[0]))
	by("wrong secret", object{"id": id, "secret": "wrong"}, nil)
	by("no secret", object{"id": id}, nil)
	by("unknown", object{"id": "nothing", "secret": secret}, nil)
	by("unknown name", object{"name": "nothing", "user": object{"id": s.user.id}, "secret": secret}, nil)
	s.keystone("its token", "GET", "/auth/projects", got, nil)

	s.keystone("delete", "DELETE", path+"/"+id, token, nil)
	s.keystone("delete again", "DELETE", path+"/"+id, token, nil)
	by("auth with the deleted", object{"id": id, "secret": secret}, nil)
	s.keystone("its token when deleted", "GET", "/auth/projects", got, nil)
}

func delegatedTokens(s *session) {
	token := s.token(s.user.password, 0)
	key := s.on.createKey(s.t, s.user.name, s.user.projects[0].id)
	keys, path := "/users/"+s.user.id+"/credentials/OS-EC2", "/users/"+s.user.id+"/application_credentials"
	for _, unrestricted := range []bool{false, true} {
		kind := fmt.Sprintf("unrestricted %v: ", unrestricted)
		made := s.keystone(kind+"create", "POST", path, token, object{"application_credential": object{
			"name": fmt.Sprint(unrestricted), "secret": "chosen", "unrestricted": unrestricted}})
		by := auth("application_credential", object{"id": made.json(s.t, "application_credential.id"), "secret": "chosen"}, nil)
		delegated := s.keystone(kind+"auth", "POST", "/auth/tokens?nocatalog", "", by).Header.Get("X-Subject-Token")
		s.keystone(kind+"list keys", "GET", keys, delegated, nil)
		s.keystone(kind+"create key", "POST", keys, delegated, object{"tenant_id": s.user.projects[0].id})
		s.keystone(kind+"show key", "GET", keys+"/"+key.access, delegated, nil)
		s.keystone(kind+"delete key", "DELETE", keys+"/"+key.access, delegated, nil)
		s.keystone(kind+"chosen key", "POST", "/credentials", delegated, object{"credential": object{"type": "ec2",
			"user_id": s.user.id, "project_id": s.user.projects[0].id, "blob": `{"access": "x", "secret": "y"}`}})
		s.keystone(kind+"list credentials", "GET", "/credentials", delegated, nil)
		s.keystone(kind+"rescope", "POST", "/auth/tokens", "", auth("token", object{"id": delegated}, inProject(s.user.projects[1])))
		s.keystone(kind+"list its kind", "GET", path, delegated, nil)
		s.keystone(kind+"create its kind", "POST", path, delegated, object{"application_credential": object{"name": kind, "secret": "x"}})
		s.keystone(kind+"delete its kind", "DELETE", path+"/nothing", delegated, nil)
	}
	s.keystone("the key is still there", "GET", keys, token, nil)
}
