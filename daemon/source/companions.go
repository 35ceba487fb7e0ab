package source

import "path/filepath"

// companions are files whose entries belong together, by name.
var companions = map[string]string{
	"clouds.yaml": "secure.yaml", "secure.yaml": "clouds.yaml",
	"clouds.yml": "secure.yml", "secure.yml": "clouds.yml",
	"credentials": "config", "config": "credentials", // of ~/.aws
}

// Companion returns the file beside path that is read together with it, which
// may not exist; "" where there is none.
func Companion(path string) string {
	name, ok := companions[filepath.Base(path)]
	if !ok {
		return ""
	}
	return filepath.Join(filepath.Dir(path), name)
}
