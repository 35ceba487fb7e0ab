//go:build rehearsal

package daemon

import "time"

// minLease lets tests that live through whole leases be over in a minute. Their
// clients are told of a shorter window before Expiration, too.
const minLease = time.Second
