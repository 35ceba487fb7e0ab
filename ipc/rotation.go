package ipc

import "time"

// RotateRequest is POST /v1/rotate: S3 keys, application credentials, or a
// password. Its answer is a stream of RotateLine.
type RotateRequest struct {
	Environments []string `json:"environments,omitempty"` // their S3 keys
	All          bool     `json:"all,omitempty"`          // those of all
	// ApplicationCredential: of these environments, the application credentials
	// in place of the S3 keys.
	ApplicationCredential bool `json:"application_credential,omitempty"`

	User     string `json:"user,omitempty"`     // with Password, in place of environments
	Password bool   `json:"password,omitempty"` // the user's password
	Grace    string `json:"grace,omitempty"`    // a duration; "": as long as somebody holds the old key
	Wait     bool   `json:"wait,omitempty"`     // until the old key is proved dead
	DryRun   bool   `json:"dry_run,omitempty"`  // lines of step "plan" only
}

// RotateLine is a step of a rotation.
type RotateLine struct {
	Step    string     `json:"step"`
	Subject string     `json:"subject"`
	State   string     `json:"state"` // start | done | failed
	Error   string     `json:"error,omitempty"`
	Code    Code       `json:"code,omitempty"` // with error
	Note    string     `json:"note,omitempty"`
	Already bool       `json:"already,omitempty"` // of step "drain": it was replaced before this was asked for, and nothing new is made
	Until   *time.Time `json:"until,omitempty"`   // of a plan: when the old key is deleted
	Holders []Lease    `json:"holders,omitempty"` // of a plan, and with already: who holds the old key
	Broken  []Lease    `json:"broken,omitempty"`  // of them, those who may hold it longer
	Unknown bool       `json:"unknown,omitempty"` // others may, too: it was printed, came from elsewhere, or a daemon before this one may have handed it out

	// Of a plan, and of step "portal", which waits for a person: what he is to
	// press, whom it concerns, and where ccad looks for what comes of it.
	User         string   `json:"user,omitempty"`        // whose password the portal changes
	Environment  string   `json:"environment,omitempty"` // whose S3 key the portal changes; of a failure, too
	Environments []string `json:"environments,omitempty"`
	Clicks       []string `json:"clicks,omitempty"`
	Sources      []string `json:"sources,omitempty"`
}

// Rotation is one that is under way, in Environment.
type Rotation struct {
	Step    string     `json:"step"`
	Version int        `json:"version,omitempty"` // of the key that goes
	Until   *time.Time `json:"until,omitempty"`   // when it is deleted; absent: when the programs have ended that run with it
	Holders []Lease    `json:"holders,omitempty"` // who holds it
	Unknown bool       `json:"unknown,omitempty"` // others may: it was printed, or a daemon before this one may have handed it out
	Trouble string     `json:"trouble,omitempty"`
}

// Due is when the schedule replaces a value.
type Due struct {
	At    time.Time  `json:"at"`
	Tried *time.Time `json:"tried,omitempty"` // when it began to, and nothing came of it
}
