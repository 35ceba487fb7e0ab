package view

import (
	"maps"
	"slices"
	"strings"
)

// A format writes variables, which every client reads, or the file of one
// client. Exactly one of both functions is set.
type format struct {
	client    string // whose file it is
	file      func(v *view) ([]byte, error)
	variables func(v *view, set []variable, drop []string) ([]byte, error)
	inner     bool // for ccactl and its hooks alone
}

var formats = map[string]format{
	"sh":          {variables: writeSh},
	"fish":        {variables: writeFish},
	"dotenv":      {variables: writeDotenv},
	"json":        {variables: writeJSON},
	"environ":     {variables: writeEnviron, inner: true},
	"hook-sh":     {variables: writeHookSh, inner: true},
	"hook-fish":   {variables: writeHookFish, inner: true},
	"clouds.yaml": {client: "openstack", file: writeClouds},
	"rclone":      {client: "rclone", file: writeRclone},
	"s3cfg":       {client: "aws", file: writeS3cfg},
}

// Formats returns the names of the formats that a person may ask for, sorted.
func Formats() (all []string) {
	for name, f := range formats {
		if !f.inner {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// names lists a table's keys for a message.
func names[V any](table map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(table)), ", ")
}
