package rotate

import (
	"errors"
	"testing"
)

// TestProjectRenamed: a project that has another name at the cloud has it here, with
// a new generation, as soon as the cloud grants it.
func TestProjectRenamed(t *testing.T) {
	w := newWorld(t)
	w.dev()
	was := w.Contents().Environments["dev"]
	w.cloud.RenameProject(was.ProjectID, "renamed")
	w.clock.step(2e9)
	if err := w.Verify(t.Context(), "dev", false); err != nil {
		t.Fatal(err)
	}
	is := w.Contents().Environments["dev"]
	if is.Project != "renamed" || is.ProjectDomainID != "default" || is.ProjectDomainName != "" || is.Generation <= was.Generation {
		t.Errorf("%+v, at generation %d after %d", is.Environment, is.Generation, was.Generation)
	}
	if err := w.Verify(t.Context(), "dev", false); err != nil || w.Contents().Environments["dev"].Generation != is.Generation {
		t.Errorf("once more: generation %d after %d, %v", w.Contents().Environments["dev"].Generation, is.Generation, err)
	}
}

// TestRenamedProjectImported: the new file of a project that is stored by its former
// name is that environment's.
func TestRenamedProjectImported(t *testing.T) {
	w := newWorld(t)
	w.dev()
	w.cloud.RenameProject(w.cloud.User.Projects["dev-ccontini"], "renamed")
	w.clock.step(2e9)
	o := w.offer("renamed")
	o.Named, o.Environment.Project, o.Password = false, "renamed", secretOf("hunter2")
	named := o
	named.Named = true
	if out, err := w.Adopt(t.Context(), named); !errors.Is(err, errNamed) {
		t.Errorf("by another name: %+v, %v", out, err)
	}
	out, err := w.Adopt(t.Context(), o)
	if err != nil || out.Added || out.Environment != "dev" {
		t.Errorf("%+v, %v", out, err)
	}
	if e := w.Contents().Environments["dev"]; len(w.Contents().Environments) != 1 || e.Project != "renamed" {
		t.Errorf("%d environments, project %s", len(w.Contents().Environments), e.Project)
	}
}
