package house

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/cloud-ca/ccad/daemon"
)

// Alert rules and the dashboard speak of series that the daemon has.
func TestMonitoringKnowsItsSeries(t *testing.T) {
	var source strings.Builder
	for _, file := range []string{"metrics.go", "metrics_rotation.go"} {
		data, err := os.ReadFile("../../daemon/" + file)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(data)
	}
	series := regexp.MustCompile(`ccad_[a-z0-9_]+`)
	for _, file := range []string{"prometheus/ccad.rules.yml", "grafana/ccad.json"} {
		data, err := os.ReadFile("../../packaging/" + file)
		if err != nil {
			t.Fatal(err)
		}
		names := series.FindAllString(string(data), -1)
		if len(names) < 5 {
			t.Errorf("%s names %d series", file, len(names))
		}
		for _, name := range names {
			if !strings.Contains(source.String(), `"`+strings.TrimSuffix(name, "_bucket")+`"`) {
				t.Errorf("%s speaks of %s, which the daemon does not have", file, name)
			}
		}
	}
}

// The sample configuration has every key that the daemon knows, and no other.
func TestSampleConfiguration(t *testing.T) {
	data, err := os.ReadFile("../../packaging/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	ours := filepath.Join(t.TempDir(), "config.toml") // whoever the checkout belongs to
	if err := os.WriteFile(ours, data, 0o600); err != nil {
		t.Fatal(err)
	}
	sample, err := daemon.LoadConfig(ours, true)
	if err != nil {
		t.Error(err)
	}
	defaults, err := daemon.LoadConfig(filepath.Join(t.TempDir(), "none"), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(sample.Portal.Fields) == 0 {
		sample.Portal.Fields = nil
	}
	if !reflect.DeepEqual(sample, defaults) {
		t.Errorf("the sample says %+v, the defaults are %+v", sample, defaults)
	}
	var source []byte
	for _, file := range []string{"config.go", "config_rotate.go"} {
		more, err := os.ReadFile("../../daemon/" + file)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, more...)
	}
	for _, key := range regexp.MustCompile("`toml:\"([a-z_]+)\"`").FindAllStringSubmatch(string(source), -1) {
		if !regexp.MustCompile(`(?m)^#? ?\[*(?:[a-z."A-Z]+\.)?` + key[1] + `(?:\]|\.| =)`).Match(data) {
			t.Errorf("packaging/config.toml does not have the key %s of daemon/config*.go", key[1])
		}
	}
}
