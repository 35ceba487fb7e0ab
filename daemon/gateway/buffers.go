package gateway

import "sync"

// Copying in large pieces halves the cost of a transfer; but few at a time have
// a large buffer, so that many at once cost little memory.
const (
	largeBuffer  = 1 << 20
	smallBuffer  = 64 << 10
	largeBuffers = 12
)

// buffers lends the buffers of all transfers.
type buffers struct {
	lent         chan struct{} // as many as there are large ones lent
	large, small sync.Pool
}

func newBuffers() *buffers {
	return &buffers{
		lent:  make(chan struct{}, largeBuffers),
		large: sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }},
		small: sync.Pool{New: func() any { b := make([]byte, smallBuffer); return &b }},
	}
}

// get lends a buffer for a transfer of length bytes; -1 is not known.
func (b *buffers) get(length int64) *[]byte {
	if length < 0 || length > smallBuffer {
		select {
		case b.lent <- struct{}{}:
			return b.large.Get().(*[]byte)
		default:
		}
	}
	return b.small.Get().(*[]byte)
}

func (b *buffers) put(buf *[]byte) {
	if len(*buf) == smallBuffer {
		b.small.Put(buf)
		return
	}
	b.large.Put(buf)
	<-b.lent
}
