//go:build !rehearsal

package daemon

import "time"

// minLease: below a quarter of an hour before Expiration botocore runs the
// process again for every request.
const minLease = 16 * time.Minute
