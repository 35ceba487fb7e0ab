package ipc

// ScrubRequest is POST /v1/scrub: files from which the secrets that ccad holds
// are to be taken. Nothing is changed or stored by it.
type ScrubRequest struct {
	Files []File `json:"files"`
	Find  bool   `json:"find,omitempty"` // not those alone: whatever import would take
}

// ScrubReply is what would be left of them, in the order of the request.
type ScrubReply struct {
	Files []ScrubbedFile `json:"files"`
}

// ScrubbedFile is a file without its secrets.
type ScrubbedFile struct {
	Path  string `json:"path"`
	Data  []byte `json:"data"`
	Lines []int  `json:"lines"`          // those that go; empty: none
	Left  string `json:"left,omitempty"` // why none goes although one should; one line
}

// KeptFile is a file as it was before ccactl edited it: POST /v1/kept stores it,
// GET /v1/kept answers all, DELETE /v1/kept/ID forgets one that was put back.
type KeptFile struct {
	ID      string `json:"id,omitempty"`
	Path    string `json:"path"`             // absolute
	Mode    uint32 `json:"mode"`             // its permissions
	Absent  bool   `json:"absent,omitempty"` // there was none
	Before  []byte `json:"before"`
	After   []byte `json:"after"`             // ccactl's digest of what it is made
	Emptied bool   `json:"emptied,omitempty"` // its secrets are taken out
}

// KeptFiles answers GET /v1/kept, the oldest first.
type KeptFiles struct {
	Files []KeptFile `json:"files"`
}

// UnwatchRequest is POST /v1/unwatch: files that are not to be watched any more.
type UnwatchRequest struct {
	Paths []string `json:"paths"` // absolute
}

// UnwatchReply names the environments for which they were watched.
type UnwatchReply struct {
	Environments []string `json:"environments"`
}
