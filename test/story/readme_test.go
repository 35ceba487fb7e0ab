package story

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// readme FOLDER: cuts the README's commands into scripts, in their order: each
// fenced block of sh is one, each line of a crontab, and each ExecStart of a unit,
// with its credentials. The configuration it shows goes to FOLDER/config.toml.
func readme(ts *testscript.TestScript, _ bool, args []string) {
	data, err := os.ReadFile(filepath.Join(repo(), "README.md"))
	ts.Check(err)
	var blocks []string
	kind, config, loads := "", "", ""
	for line := range strings.Lines(string(data)) {
		switch {
		case strings.HasPrefix(line, "```"):
			if kind == "" {
				kind = strings.TrimSpace(line[3:])
				if kind == "sh" {
					blocks = append(blocks, "")
				}
				loads = ""
			} else {
				kind = ""
			}
		case kind == "sh":
			blocks[len(blocks)-1] += line
		case kind == "cron":
			fields := strings.Fields(line)
			blocks = append(blocks, strings.Join(fields[5:], " ")+"\n")
		case kind == "toml":
			config += line
		case kind == "ini" && strings.HasPrefix(line, "LoadCredential="):
			id, path, _ := strings.Cut(strings.TrimSpace(line[len("LoadCredential="):]), ":")
			loads += "export CREDENTIALS_DIRECTORY=$(load-credential " + id + " " + strings.ReplaceAll(path, "%t", "$XDG_RUNTIME_DIR") + ")\n"
		case kind == "ini" && strings.HasPrefix(line, "ExecStart="):
			command := strings.NewReplacer("%h", "$HOME", "%d", "$CREDENTIALS_DIRECTORY", "$HOME/.local/bin/", "").Replace(line[len("ExecStart="):])
			blocks = append(blocks, loads+strings.ReplaceAll(command, "$HOME/.local/bin/", ""))
		}
	}
	if len(blocks) < 15 {
		ts.Fatalf("the README has %d blocks of commands only", len(blocks))
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600))
	for i, block := range blocks {
		name := filepath.Join(dir, string(rune('a'+i/26))+string(rune('a'+i%26))+".sh")
		ts.Check(os.WriteFile(name, []byte("set -e\n"+block), 0o600))
	}
}
