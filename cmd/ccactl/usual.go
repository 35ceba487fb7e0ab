package main

import (
	"os"
	"path/filepath"
	"slices"
)

// usualFiles are the files of credentials that lie where people, portals and
// programs usually put them; but for those that ccactl render writes, which have
// them from ccad.
func usualFiles() (found []string) {
	home := os.Getenv("HOME")
	config := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(config) {
		config = filepath.Join(home, ".config")
	}
	patterns := []string{
		awsFile("AWS_SHARED_CREDENTIALS_FILE", "credentials"), awsFile("AWS_CONFIG_FILE", "config"),
		cloudsFile(), filepath.Join(filepath.Dir(cloudsFile()), "secure.yaml"),
		filepath.Join(home, ".s3cfg"),
		filepath.Join(config, "rclone", "rclone.conf"), filepath.Join(home, ".rclone.conf"),
	}
	for _, folder := range []string{home, filepath.Join(home, "Downloads"), filepath.Join(config, "openstack")} {
		for _, name := range []string{"*openrc", "*openrc*.sh", ".openrc*", "clouds.yaml"} {
			patterns = append(patterns, filepath.Join(folder, name))
		}
	}
	rendered := writtenFiles()
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && !slices.Contains(found, path) && !slices.Contains(rendered, path) {
				found = append(found, path)
			}
		}
	}
	return found
}
