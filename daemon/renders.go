package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/cloud-ca/ccad/daemon/account"
	"github.com/cloud-ca/ccad/daemon/view"
	"github.com/cloud-ca/ccad/ipc"
)

// checkRender refuses a [[render]] table that could not be followed, with its
// line, and makes its path absolute.
func (c *Config) checkRender(path string, data []byte) error {
	lines := renderLines(data)
	first := map[string]int{} // the line that has a path first
	for i := range c.Render {
		r := &c.Render[i]
		at := func(key string) int {
			if i >= len(lines) {
				return 0 // written as an inline table
			}
			if line, ok := lines[i][key]; ok {
				return line
			}
			return lines[i][""]
		}
		refuse := func(key, format string, args ...any) error {
			where := "config " + path
			if line := at(key); line > 0 {
				where += fmt.Sprintf(": line %d", line)
			}
			return fmt.Errorf("%s: render: "+format, append([]any{where}, args...)...)
		}
		if key, reason := r.settle(); key != "" {
			return refuse(key, "%s", reason)
		}
		if before, twice := first[r.Path]; twice {
			return refuse("path", "%s is the path of line %d, too", r.Path, before)
		}
		first[r.Path] = at("path")
	}
	return nil
}

// settle makes the path absolute, or names the key that is wrong, and why.
func (r *Render) settle() (key, reason string) {
	if !account.ValidName(r.Environment) {
		return "environment", fmt.Sprintf("%q names no environment", r.Environment)
	}
	if !slices.Contains(view.Formats(), r.View) {
		return "view", fmt.Sprintf("the view %q is none of %s", r.View, strings.Join(view.Formats(), ", "))
	}
	if below, ok := strings.CutPrefix(r.Path, "~/"); ok {
		if home := os.Getenv("HOME"); filepath.IsAbs(home) {
			r.Path = filepath.Join(home, below)
		}
	}
	if !filepath.IsAbs(r.Path) || strings.ContainsFunc(r.Path, unicode.IsControl) || strings.HasSuffix(r.Path, "/") {
		return "path", fmt.Sprintf("the path %q is none of a file, absolute or below ~/", r.Path)
	}
	r.Path = filepath.Clean(r.Path)
	if len(r.Reload) > 0 && r.Reload[0] == "" {
		return "reload", "reload names no program"
	}
	return "", ""
}

// renderLines finds the lines of the [[render]] tables: of each its heading, as
// "", and its keys.
func renderLines(data []byte) (tables []map[string]int) {
	var p unstable.Parser
	inside := false
	for p.Reset(data); p.NextExpression(); {
		e := p.Expression()
		key := e.Key()
		if !key.Next() {
			continue
		}
		name, line := string(key.Node().Data), p.Shape(key.Node().Raw).Start.Line
		switch {
		case e.Kind == unstable.Table || e.Kind == unstable.ArrayTable:
			if inside = e.Kind == unstable.ArrayTable && name == "render"; inside {
				tables = append(tables, map[string]int{"": line})
			}
		case inside && e.Kind == unstable.KeyValue:
			tables[len(tables)-1][name] = line
		}
	}
	return tables
}

// renders offers the files that the config wants kept written, also while
// locked: they must not keep secrets then, and ccactl reads no config.
func (d *Daemon) renders(r *request) (any, error) {
	return ipc.Renders{Locked: r.open == nil, Gateway: d.s3.url(), Files: d.renderedFiles(r.open)}, nil
}

func (d *Daemon) renderedFiles(o *opened) []ipc.RenderedFile {
	files := []ipc.RenderedFile{}
	for _, r := range d.Config.Render {
		f := ipc.RenderedFile{Path: r.Path, Environment: r.Environment, View: r.View, Reload: r.Reload}
		if o != nil {
			f.Generation = o.keeper.Contents().Environments[r.Environment].Generation
		}
		if at, ok := d.rendered.Load(r.Path); ok && o != nil {
			given, _ := at.(time.Time)
			f.GivenAt = &given
		}
		files = append(files, f)
	}
	return files
}

// isRendered reports whether the config wants this view in this file.
func (d *Daemon) isRendered(path, environment, view string) bool {
	return slices.ContainsFunc(d.Config.Render, func(r Render) bool {
		return r.Path == path && r.Environment == environment && r.View == view
	})
}
