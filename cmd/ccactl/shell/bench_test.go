package shell

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// BenchmarkPrompt measures what an unchanged prompt costs over a function that
// does nothing: microseconds, the median of rounds that take turns.
//
//	go test -bench Prompt -benchtime 2000x ./cmd/ccactl/shell
func BenchmarkPrompt(b *testing.B) {
	const rounds = 7
	scripts := map[string]struct{ hook, script string }{
		"bash": {"__ccad_hook", `noop() { :; }; %[1]s; for r in {1..%[2]d}; do
			t=$EPOCHREALTIME; for ((i=0; i<%[3]d; i++)); do noop; done; u=$EPOCHREALTIME
			for ((i=0; i<%[3]d; i++)); do %[1]s; done; v=$EPOCHREALTIME
			echo $(( (10#${v/[.,]} - 10#${u/[.,]}) - (10#${u/[.,]} - 10#${t/[.,]}) )); done`},
		"zsh": {"__ccad_hook", `zmodload zsh/datetime; noop() { :; }; %[1]s; for r in {1..%[2]d}; do
			float t=$EPOCHREALTIME; for ((i=0; i<%[3]d; i++)); do noop; done; float u=$EPOCHREALTIME
			for ((i=0; i<%[3]d; i++)); do %[1]s; done; float v=$EPOCHREALTIME
			printf '%%.0f\n' $(( 1000000 * ((v - u) - (u - t)) )); done`},
		"fish": {"__ccad_hook", `function noop; end; %[1]s; set loops (seq %[3]d); for r in (seq %[2]d)
			set t (date +%%s%%N); for i in $loops; noop; end; set u (date +%%s%%N)
			for i in $loops; %[1]s; end; set v (date +%%s%%N)
			math \( \($v - $u\) - \($u - $t\) \) / 1000; end`},
	}
	for _, d := range dialects {
		b.Run(d.name, func(b *testing.B) {
			ccad := newDaemon(b)
			ccad.serve("dev", "1", vars("one"))
			bench := scripts[d.name]
			script := ccad.init(d.name, "") + "\n" + fmt.Sprintf(bench.script, bench.hook, rounds, b.N)
			file := filepath.Join(b.TempDir(), "script")
			if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
				b.Fatal(err)
			}
			cmd := exec.Command(need(b, d.name), append(d.plain, "-i", "-c", ". "+d.quote(file))...)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.TempDir(), "LC_ALL=C.UTF-8", "TERM=dumb", "CCAD_ENV=dev"}
			var complaints bytes.Buffer // among them, that there is no terminal
			cmd.Stderr = &complaints
			out, err := cmd.Output()
			if err != nil {
				b.Fatalf("%v:\n%s", err, complaints.String())
			}
			var micros []float64
			for _, line := range strings.Fields(string(out)) {
				us, err := strconv.ParseFloat(line, 64)
				if err != nil {
					b.Fatal(err)
				}
				micros = append(micros, us/float64(b.N))
			}
			if len(micros) != rounds || len(ccad.calls()) != 1 {
				b.Fatalf("%d rounds, %d calls of ccactl", len(micros), len(ccad.calls()))
			}
			slices.Sort(micros)
			b.ReportMetric(micros[rounds/2], "µs/prompt")
			b.ReportMetric(0, "ns/op") // that of starting the shell
		})
	}
}
