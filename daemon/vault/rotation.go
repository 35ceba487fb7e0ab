package vault

import "time"

// A Rotation is the journal of one replacement that is not over. It holds
// whatever must be known to go on after a crash; the versions it names hold the
// values. It is replaced and never written into.
type Rotation struct {
	Step   string    // what is to be done next; package rotate has the table
	New    string    // the ID of the version that is to serve
	Old    string    // the ID of the version that goes; "" where there was none
	Begun  time.Time // when a person, or the schedule, asked for it
	Since  time.Time // when Step was entered
	Asked  time.Time // when the cloud was last asked for the change; zero: never, or it surely heard nothing
	Reason string    // why it is being withdrawn
	Denied bool      // because the cloud lets a user not do this by himself

	Grace  *time.Duration // from the flip to the deletion, as a person wants it; nil: as long as somebody holds Old
	Chosen bool           // the cloud makes the pair itself: it is found among what is not in Known
	Known  []string       // the access keys that the cloud listed before it was asked to make one: others'

	Left []Left // what rotations before this one have still to delete, once this one is over
}

// Left is what is left of a rotation that another took the place of: its fields
// are those of a Rotation whose Step is the drain.
type Left struct {
	New   string         `json:"new"`
	Old   string         `json:"old"`
	Begun time.Time      `json:"begun"`
	Since time.Time      `json:"since"`
	Grace *time.Duration `json:"grace,omitempty"`
}
