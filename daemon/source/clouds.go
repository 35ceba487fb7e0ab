package source

import (
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What bounds the work that aliases can make of a small file.
const (
	maxAliases = 1000
	maxPairs   = 250_000 // more than a file without aliases can hold
)

var (
	cloudsMark = regexp.MustCompile(`(?m)^[\s{]*["']?clouds["']?[ \t]*:`)
	yamlLine   = regexp.MustCompile(`line (\d+):`)
)

func looksLikeClouds(text string) bool { return cloudsMark.MatchString(text) }

// A cloud is one entry of a clouds.yaml or secure.yaml.
type cloud struct {
	name   string
	at     place
	secure bool // the file is named secure.*
	vs     values
}

// parseClouds reads clouds.yaml and secure.yaml together: entries of one name
// are merged, whatever the order of the files.
func parseClouds(ins []*input, out *findings) error {
	var all []cloud
	for _, in := range ins {
		clouds, err := readClouds(in, out)
		if err != nil {
			return err
		}
		all = append(all, clouds...)
	}
	namesakes := make(map[string][]cloud)
	for _, c := range all {
		namesakes[c.name] = append(namesakes[c.name], c)
	}
	for _, c := range all {
		vs, overlay := c.vs, false
		for _, other := range namesakes[c.name] {
			overlay = overlay || c.overlays(other)
			if other.overlays(c) {
				vs = vs.over(other.vs)
			}
		}
		if overlay {
			continue
		}
		f, err := keystone(vs)
		if err := out.addOrSkip(c.at, c.name, f, err); err != nil {
			return err
		}
	}
	return nil
}

// overlays reports whether c holds the secrets of other, a namesake: by the
// file's name, and where that does not tell, by which of both says where the
// cloud is.
func (c cloud) overlays(other cloud) bool {
	if c.at.in == other.at.in {
		return false
	}
	if c.secure != other.secure {
		return c.secure
	}
	return !c.vs.has("OS_AUTH_URL") && other.vs.has("OS_AUTH_URL")
}

func readClouds(in *input, out *findings) ([]cloud, error) {
	y := &yamlFile{in: in}
	root, err := y.root()
	if err != nil {
		return nil, err
	}
	top, err := y.mapping(root)
	if err != nil {
		return nil, err
	}
	entries, err := y.mapping(top.node("clouds"))
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		out.note(place{in, 0}, "no cloud in it")
	}
	var clouds []cloud
	for _, entry := range entries {
		vs, err := y.cloud(entry.node)
		if err != nil {
			return nil, err
		}
		secure := strings.HasPrefix(filepath.Base(in.Path), "secure.")
		clouds = append(clouds, cloud{entry.key, place{in, entry.line}, secure, vs})
	}
	return clouds, nil
}

// yamlFile reads nodes, and counts what it reads.
type yamlFile struct {
	in             *input
	aliases, pairs int
}

// pairs are a mapping's, in the order of the file.
type pairs []pair

type pair struct {
	key  string
	line int
	node *yaml.Node
}

// node returns the value of a key, or nil.
func (ps pairs) node(key string) *yaml.Node {
	for _, p := range ps {
		if p.key == key {
			return p.node
		}
	}
	return nil
}

func (y *yamlFile) at(n *yaml.Node) place { return place{y.in, n.Line} }

// root returns the one document of the file. The parser's own words are
// dropped but for the line, since they may quote the file.
func (y *yamlFile) root() (*yaml.Node, error) {
	dec := yaml.NewDecoder(strings.NewReader(y.in.text))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	if err == nil {
		if err = dec.Decode(&more); err == nil {
			return nil, y.at(&more).error("begins a second YAML document")
		}
	}
	if !errors.Is(err, io.EOF) || len(doc.Content) == 0 {
		at := place{y.in, 0}
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			at.line, _ = strconv.Atoi(m[1])
		}
		return nil, at.error("is no well-formed YAML (indentation, a tab, an unclosed quote?)")
	}
	return doc.Content[0], nil
}

// follow returns what an alias stands for.
func (y *yamlFile) follow(n *yaml.Node) (*yaml.Node, error) {
	if n == nil || n.Kind != yaml.AliasNode {
		return n, nil
	}
	if y.aliases++; y.aliases > maxAliases {
		return nil, y.at(n).error("uses more aliases than a clouds.yaml needs")
	}
	return n.Alias, nil
}

// mapping returns the pairs of a mapping, merge keys (<<) filled in. Nothing
// and null are an empty one.
func (y *yamlFile) mapping(n *yaml.Node) (pairs, error) {
	n, err := y.follow(n)
	if err != nil || n == nil || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return nil, err
	}
	if n.Kind != yaml.MappingNode {
		return nil, y.at(n).error("must be a mapping of names to values")
	}
	var own, merged pairs
	first := make(map[string]int) // the line of each key
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if y.pairs++; y.pairs > maxPairs {
			return nil, y.at(key).error("grows too large by its aliases")
		}
		if key.ShortTag() == "!!merge" {
			more, err := y.merge(val)
			if err != nil {
				return nil, err
			}
			merged = append(merged, more...)
			continue
		}
		if key.Kind != yaml.ScalarNode {
			return nil, y.at(key).error("has a name that is no plain text")
		}
		if line, twice := first[key.Value]; twice {
			return nil, y.at(key).error("gives a name that is there already, see " + place{y.in, line}.String())
		}
		first[key.Value] = key.Line
		own = append(own, pair{key.Value, key.Line, val})
	}
	for _, p := range merged { // own ones first, then the first merged
		if _, there := first[p.key]; !there {
			first[p.key] = p.line
			own = append(own, p)
		}
	}
	return own, nil
}

// merge returns the pairs of a merge key: of one mapping, or of a list.
func (y *yamlFile) merge(n *yaml.Node) (pairs, error) {
	n, err := y.follow(n)
	if err != nil {
		return nil, err
	}
	sources := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		sources = n.Content
	}
	var all pairs
	for _, source := range sources {
		more, err := y.mapping(source)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// cloud flattens an entry. What stands under auth outweighs what stands beside
// it, where the SDK accepts it too.
func (y *yamlFile) cloud(n *yaml.Node) (values, error) {
	beside, err := y.mapping(n)
	if err != nil {
		return nil, err
	}
	auth, err := y.mapping(beside.node("auth"))
	if err != nil {
		return nil, err
	}
	region, err := y.firstRegion(beside.node("regions"))
	if err != nil {
		return nil, err
	}
	vs := make(values)
	for _, level := range []pairs{region, beside, auth} {
		more, err := y.values(level)
		if err != nil {
			return nil, err
		}
		vs = vs.over(more)
	}
	return vs, nil
}

// firstRegion returns the first of a list of regions as the region, as the SDK
// does: a region is a name, or a mapping that has one.
func (y *yamlFile) firstRegion(n *yaml.Node) (pairs, error) {
	list, err := y.follow(n)
	if err != nil || list == nil || list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		return nil, err
	}
	first := list.Content[0]
	if first.Kind == yaml.MappingNode {
		region, err := y.mapping(first)
		if err != nil || region.node("name") == nil {
			return nil, err
		}
		first = region.node("name")
	}
	return pairs{{"region_name", first.Line, first}}, nil
}

// values returns the plain values of a mapping by their OS_* names. Others are
// refused when somebody asks for them.
func (y *yamlFile) values(ps pairs) (values, error) {
	vs := make(values, len(ps))
	for _, p := range ps {
		n, err := y.follow(p.node)
		if err != nil {
			return nil, err
		}
		v := value{key: p.key, text: n.Value, at: place{y.in, p.line}}
		switch n.ShortTag() {
		case "!!str", "!!int", "!!float", "!!bool", "!!timestamp": // as it is written
		case "!!null":
			v.text = ""
		default:
			v.text, v.problem = "", "must be one plain value"
		}
		vs["OS_"+strings.ToUpper(strings.ReplaceAll(p.key, "-", "_"))] = v
	}
	return vs, nil
}
