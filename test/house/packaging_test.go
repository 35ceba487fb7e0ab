package house

import (
	"os"
	"regexp"
	"strings"
	"testing"
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
