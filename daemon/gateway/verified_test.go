package gateway

import (
	"bytes"
	"encoding/base64"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"testing"

	"pgregory.net/rapid"
)

// A pieces is a reader that gives a piece at a time, the last together with the
// end if early.
type pieces struct {
	left  [][]byte
	early bool
	end   error
}

func (p *pieces) Read(into []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, p.end
	}
	n := copy(into, p.left[0])
	if p.left[0] = p.left[0][n:]; len(p.left[0]) == 0 {
		p.left = p.left[1:]
	}
	if p.early && len(p.left) == 0 {
		return n, p.end
	}
	return n, nil
}

// TestVerifiedPieces: in whatever pieces a payload comes and is read, all of it
// comes out where it is good, and never its last byte where it is not.
func TestVerifiedPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := &pieces{early: rapid.Bool().Draw(t, "the end comes with the last piece"), end: io.EOF}
		src.left = rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 5), 0, 6).Draw(t, "pieces")
		data := bytes.Join(src.left, nil)
		v := &verified{src: src, length: -1, tick: func(int) {}}
		if rapid.Bool().Draw(t, "the length is known") {
			v.length = int64(len(data))
		}
		p, _ := newPromise("crc32")
		sum := crc32.ChecksumIEEE(data)
		p.want, v.promises = []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}, []*promise{p}
		wrong := rapid.SampledFrom([]string{"nothing", "the checksum", "the connection"}).Draw(t, "what is wrong")
		switch wrong {
		case "the checksum":
			p.want[0]++
		case "the connection":
			src.end = io.ErrClosedPipe
		}
		var got []byte
		var err error
		for err == nil {
			room := make([]byte, rapid.IntRange(0, 4).Draw(t, "room"))
			var n int
			n, err = v.Read(room)
			got = append(got, room[:n]...)
		}
		if n, again := v.Read(make([]byte, 4)); n != 0 || !errors.Is(again, err) {
			t.Fatalf("after its end with %v it gave %d bytes, %v", err, n, again)
		}
		if wrong == "nothing" {
			if err != io.EOF || !bytes.Equal(got, data) {
				t.Fatalf("%q came out as %q, %v", data, got, err)
			}
			return
		}
		if err == io.EOF || !bytes.HasPrefix(data, got) || len(got) > 0 && len(got) == len(data) {
			t.Fatalf("of the bad %q came out %q, %v", data, got, err)
		}
	})
}

// TestUnknownLength: what comes without a length is stored to its last byte,
// wherever that lies to what is taken in first.
func TestUnknownLength(t *testing.T) {
	b := newBench(t)
	for _, n := range []int{0, 1, 2, smallBody - 1, smallBody, smallBody + 1, smallBody + 2, smallBody + 3, 2 * smallBody} {
		data := bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n]
		h := crc32.NewIEEE()
		_, _ = h.Write(data)
		plain := b.request("PUT", "/bucket/key", nil, func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", unsigned)
			r.Header.Set("X-Amz-Checksum-Crc32", base64.StdEncoding.EncodeToString(h.Sum(nil)))
		})
		plain.Body = io.NopCloser(bytes.NewReader(data))
		chunks := b.streamed("/bucket/key", unsignedTrailer, data, encoder{size: 64 << 10, trailer: "crc32"}, func(r *http.Request) {
			r.Header.Del("X-Amz-Decoded-Content-Length")
		})
		for what, r := range map[string]*http.Request{"plain": plain, "chunks": chunks} {
			r.ContentLength = -1
			b.want(what, r, 200, "")
			if got, _ := b.s3.object("/bucket/key"); !bytes.Equal(got, data) {
				t.Errorf("%s: of %d bytes %d were stored", what, n, len(got))
			}
		}
	}
}
