package rotate

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// The pictures in the package documentation show the transitions of the tables in
// the code, and no others.
func TestPictures(t *testing.T) {
	page, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var drawn []string
	for _, block := range strings.Split(string(page), "//\n") {
		if strings.Contains(block, "journal ─▶") && strings.Contains(block, "│") {
			drawn = append(drawn, edgesOf(strings.Split(block, "\n"))...)
		}
	}
	coded := []string{"journal create", "journal change"}
	for _, table := range []map[Step]map[outcome]Step{transitions, passwordTransitions} {
		for from, ways := range table {
			for _, to := range ways {
				coded = append(coded, fmt.Sprintf("%s %s", from, cmp.Or(to, "over")))
			}
		}
	}
	slices.Sort(drawn)
	slices.Sort(coded)
	drawn, coded = slices.Compact(drawn), slices.Compact(coded)
	if !slices.Equal(drawn, coded) {
		t.Errorf("drawn:\n%s\ncoded:\n%s", strings.Join(drawn, "\n"), strings.Join(coded, "\n"))
	}
}

// A cell is a place in a picture; up, down, left and right are ways out of it.
type cell struct{ row, column int }

var (
	up, down, left, right = cell{-1, 0}, cell{1, 0}, cell{0, -1}, cell{0, 1}

	lines = map[rune][]cell{
		'─': {left, right}, '│': {up, down}, '┌': {right, down}, '┐': {left, down}, '└': {right, up}, '┘': {left, up},
		'┬': {left, right, down}, '┴': {left, right, up}, '▶': {left}, '▲': {down}, '▼': {up},
	}
	heads = map[rune]cell{'▶': right, '▲': up, '▼': down}
)

func (c cell) step(d cell) cell { return cell{c.row + d.row, c.column + d.column} }

// edgesOf reads a picture: each connected line leads from every word that it
// touches to every word that it points at.
func edgesOf(picture []string) (edges []string) {
	grid := map[cell]rune{}
	for row, line := range picture {
		for column, r := range []rune(line) {
			grid[cell{row, column}] = r
		}
	}
	seen := map[cell]bool{}
	for start := range grid {
		if lines[grid[start]] == nil || seen[start] {
			continue
		}
		var from, to []string
		for queue := []cell{start}; len(queue) > 0; queue = queue[1:] {
			at := queue[0]
			if seen[at] {
				continue
			}
			seen[at] = true
			for _, d := range lines[grid[at]] {
				next := at.step(d)
				if slices.Contains(lines[grid[next]], cell{-d.row, -d.column}) {
					queue = append(queue, next)
				} else {
					from = append(from, wordAt(grid, next, d))
				}
			}
			if d, ok := heads[grid[at]]; ok {
				to = append(to, wordAt(grid, at.step(d), d))
			}
		}
		for _, f := range from {
			for _, t := range to {
				edges = append(edges, f+" "+t)
			}
		}
	}
	return edges
}

// wordAt returns the word that a line meets; beside it there may be a blank.
func wordAt(grid map[cell]rune, at, d cell) (word string) {
	isLetter := func(c cell) bool { return grid[c] >= 'a' && grid[c] <= 'z' || grid[c] == '-' }
	if grid[at] == ' ' && d.row == 0 {
		at = at.step(d)
	}
	for isLetter(at.step(left)) {
		at = at.step(left)
	}
	for ; isLetter(at); at = at.step(right) {
		word += string(grid[at])
	}
	return cmp.Or(word, "nothing")
}
