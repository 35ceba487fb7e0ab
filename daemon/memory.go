package daemon

import (
	"runtime"
	"runtime/debug"
)

// memoryGoal is how much the runtime may hold before it collects at once rather
// than in its own time. With the program itself that stays below 64 MB beside
// 10,000 environments, a backup's scrypt included.
const memoryGoal = 42 << 20

// frugal holds the runtime to the goal, or to four times what lives now: less
// would have it collect all the time beside a larger store.
func frugal() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetMemoryLimit(max(memoryGoal, 4*int64(m.HeapAlloc)))
}
