package main

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/cloud-ca/ccad/ipc"
)

// usualFiles are the files of credentials that lie where people, portals and
// programs usually put them; but for those that ccactl render writes, which have
// them from ccad. A link is named by what it leads to.
func usualFiles() []string {
	home, config := ipc.Home(), configHome()
	paths := []string{
		awsFile("AWS_SHARED_CREDENTIALS_FILE", "credentials"), awsFile("AWS_CONFIG_FILE", "config"),
		cloudsFile(), filepath.Join(filepath.Dir(cloudsFile()), "secure.yaml"),
		filepath.Join(home, ".s3cfg"),
		filepath.Join(config, "rclone", "rclone.conf"), filepath.Join(home, ".rclone.conf"),
		filepath.Join(home, ".env"),
	}
	for _, folder := range []string{home, filepath.Join(home, "Downloads"), filepath.Join(config, "openstack")} {
		paths = append(paths, matching(folder, "*openrc", "*openrc*.sh", ".openrc*", "clouds.yaml")...)
	}
	return regular(paths)
}

// shellFiles are what shells read at their start. People export passwords there.
func shellFiles() []string {
	var paths []string
	for _, name := range []string{".bashrc", ".bash_profile", ".profile", ".zshrc", ".zshenv", ".zprofile"} {
		paths = append(paths, filepath.Join(ipc.Home(), name))
	}
	return regular(append(paths, filepath.Join(configHome(), "fish", "config.fish")))
}

// configHome is where programs look for their configuration.
func configHome() string {
	if dir := os.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join(ipc.Home(), ".config")
}

// matching returns what in a folder is called so. The folder's own name is no
// pattern, whatever is in it.
func matching(folder string, patterns ...string) (paths []string) {
	entries, _ := os.ReadDir(folder)
	for _, pattern := range patterns {
		for _, e := range entries {
			if ok, _ := filepath.Match(pattern, e.Name()); ok {
				paths = append(paths, filepath.Join(folder, e.Name()))
			}
		}
	}
	return paths
}

// regular returns those of the paths that are regular files and not empty.
func regular(paths []string) (found []string) {
	rendered := writtenFiles()
	for _, path := range paths {
		path = real(path)
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() && info.Size() > 0 && !slices.Contains(found, path) && !slices.Contains(rendered, path) {
			found = append(found, path)
		}
	}
	return found
}
