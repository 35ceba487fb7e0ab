// Command report reads `go test -json` and prints it for people: a line a
// package, the output of what failed, the slowest tests. Skipped tests go to
// stderr, a line each, so that no skip stays unseen. It ends with 1 if a test
// failed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
)

type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

func main() {
	output := map[string][]string{}
	var passed, failed, skipped int
	type timed struct {
		name string
		s    float64
	}
	var slow []timed
	scanner := bufio.NewScanner(os.Stdin)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		var e event
		if json.Unmarshal(scanner.Bytes(), &e) != nil {
			fmt.Println(scanner.Text())
			continue
		}
		id := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			output[id] = append(output[id], e.Output)
			continue
		case "build-fail":
			failed++
			fmt.Print(strings.Join(output[" "], ""))
			continue
		}
		short := strings.TrimPrefix(e.Package, "github.com/cloud-ca/ccad/")
		switch {
		case e.Test == "" && (e.Action == "pass" || e.Action == "fail"):
			fmt.Printf("%-4s %-32s %6.1f s\n", e.Action, short, e.Elapsed)
			if e.Action == "fail" {
				failed++
				fmt.Print(strings.Join(output[id], ""))
			}
		case e.Test == "":
		case e.Action == "pass":
			passed++
			slow = append(slow, timed{short + " " + e.Test, e.Elapsed})
		case e.Action == "fail":
			failed++
			fmt.Printf("FAIL %s %s\n%s", short, e.Test, strings.Join(output[id], ""))
		case e.Action == "skip":
			skipped++
			fmt.Fprintf(os.Stderr, "%s %s: %s\n", short, e.Test, reason(output[id]))
		}
		if e.Action == "pass" {
			delete(output, id)
		}
	}
	sort.Slice(slow, func(i, j int) bool { return slow[i].s > slow[j].s })
	for _, t := range slow[:min(5, len(slow))] {
		fmt.Printf("slow %5.1f s  %s\n", t.s, t.name)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}

// reason finds what a test said when it skipped.
func reason(lines []string) string {
	for _, l := range lines {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "===") && !strings.HasPrefix(l, "---") {
			return l
		}
	}
	return "skipped"
}
