package ipc

import "time"

// Renders answers GET /v1/renders: the files that the config wants kept written.
type Renders struct {
	Locked  bool           `json:"locked"`
	Gateway string         `json:"gateway"` // as in Daemon: an S3 key in a file may be for it
	Files   []RenderedFile `json:"files"`
}

// RenderedFile is one of them, a [[render]] table.
type RenderedFile struct {
	Path        string     `json:"path"` // absolute
	Environment string     `json:"environment"`
	View        string     `json:"view"` // a format
	Reload      []string   `json:"reload,omitempty"`
	Generation  uint64     `json:"generation"`         // of the environment; 0: locked, or there is none of that name
	GivenAt     *time.Time `json:"given_at,omitempty"` // when it was last asked for; nil: not since the daemon was unlocked
}
