package daemon

import (
	"fmt"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/cloudsfile"
	"github.com/cloud-ca/ccad/ipc"
)

// cloudsFile edits the text of a person's clouds.yaml; ccactl reads and writes
// the file. No secret of ours gets into it, so nothing is handed out.
func (d *Daemon) cloudsFile(r *request) (any, error) {
	in, err := decode[ipc.CloudsFileRequest](r)
	if err != nil {
		return nil, err
	}
	var clouds []cloudsfile.Cloud
	for _, name := range in.Environments {
		e, u, err := r.open.keeper.Environment(name)
		if err != nil {
			return nil, err
		}
		cloud, err := cloudOf(u.User, e.Environment)
		if err != nil {
			return nil, err
		}
		clouds = append(clouds, cloud)
	}
	text, changed, err := cloudsfile.Write(in.Path, string(in.Data), clouds)
	if err != nil {
		return nil, err
	}
	return ipc.CloudsFileReply{Data: []byte(text), Clouds: in.Environments, Changed: changed}, nil
}

// cloudOf describes an environment as clouds.yaml does.
func cloudOf(u account.User, e account.Environment) (cloudsfile.Cloud, error) {
	if u.Name == "" || e.Project == "" {
		return cloudsfile.Cloud{}, fmt.Errorf("%s has no user and project by name: a cloud needs both", e.Name)
	}
	return cloudsfile.Cloud{
		Name: e.Name, AuthURL: u.Auth.URL, Username: u.Name, ProjectName: e.Project,
		UserDomainID: u.DomainID, UserDomainName: u.DomainName,
		ProjectDomainID: e.ProjectDomainID, ProjectDomainName: e.ProjectDomainName,
		Region: e.Region, IdentityAPI: u.IdentityAPI,
	}, nil
}
