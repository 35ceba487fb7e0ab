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
	patterns := []string{
		awsFile("AWS_SHARED_CREDENTIALS_FILE", "credentials"), awsFile("AWS_CONFIG_FILE", "config"),
		cloudsFile(), filepath.Join(filepath.Dir(cloudsFile()), "secure.yaml"),
		filepath.Join(home, ".s3cfg"),
		filepath.Join(config, "rclone", "rclone.conf"), filepath.Join(home, ".rclone.conf"),
		filepath.Join(home, ".env"),
	}
	for _, folder := range []string{home, filepath.Join(home, "Downloads"), filepath.Join(config, "openstack")} {
		for _, name := range []string{"*openrc", "*openrc*.sh", ".openrc*", "clouds.yaml"} {
			patterns = append(patterns, filepath.Join(folder, name))
		}
	}
	return regular(patterns)
}

// shellFiles are what shells read at their start. People export passwords there.
func shellFiles() []string {
	var patterns []string
	for _, name := range []string{".bashrc", ".bash_profile", ".profile", ".zshrc", ".zshenv", ".zprofile"} {
		patterns = append(patterns, filepath.Join(ipc.Home(), name))
	}
	return regular(append(patterns, filepath.Join(configHome(), "fish", "config.fish")))
}

// configHome is where programs look for their configuration.
func configHome() string {
	if dir := os.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join(ipc.Home(), ".config")
}

// regular returns the regular files that match.
func regular(patterns []string) (found []string) {
	rendered := writtenFiles()
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			path = real(path)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && !slices.Contains(found, path) && !slices.Contains(rendered, path) {
				found = append(found, path)
			}
		}
	}
	return found
}
