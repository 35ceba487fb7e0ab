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
}

var formats = map[string]format{
	"sh":          {variables: writeSh},
	"fish":        {variables: writeFish},
	"dotenv":      {variables: writeDotenv},
	"json":        {variables: writeJSON},
	"environ":     {variables: writeEnviron},
	"hook-sh":     {variables: writeHookSh},
	"hook-fish":   {variables: writeHookFish},
	"clouds.yaml": {client: "openstack", file: writeClouds},
	"rclone":      {client: "rclone", file: writeRclone},
	"s3cfg":       {client: "aws", file: writeS3cfg},
}

// names lists a table's keys for a message.
func names[V any](table map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(table)), ", ")
}
