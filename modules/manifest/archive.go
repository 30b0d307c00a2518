package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// ChunkSize is the most bytes of a packed blob that one transaction carries.
const ChunkSize = 256 << 10

// maxWindow bounds the memory a decoder needs whatever the frame asks for:
// 8 MiB is what RFC 8878 recommends every decoder to support.
const maxWindow = 8 << 20

// Compress packs a blob with zstd. The result depends on the version of the
// compressor, so a content address is always that of the unpacked blob.
func Compress(blob []byte) ([]byte, error) {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxWindow))
	if err != nil {
		return nil, fmt.Errorf("manifest: compress: %w", err)
	}
	defer w.Close()
	return w.EncodeAll(blob, nil), nil
}

// Decompress unpacks a blob that must have exactly size bytes. It never holds
// more than size plus the window, and stops at the first byte too many; the
// caller bounds size.
func Decompress(packed []byte, size int64) ([]byte, error) {
	r, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, bad("archive", "frame", fmt.Errorf("%w: %v", ErrSyntax, err))
	}
	defer r.Close()
	// Room for the declared size is taken only as data arrives.
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(r, size+1))
	switch {
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return nil, bad("archive", "window", fmt.Errorf("%w: at most %d bytes", ErrBound, maxWindow))
	case err != nil:
		return nil, bad("archive", "frame", fmt.Errorf("%w: %v", ErrSyntax, err))
	case n != size:
		return nil, bad("archive", "size", fmt.Errorf("%w: must unpack to %d bytes", ErrBound, size))
	}
	return out.Bytes(), nil
}

// ChunkCount is the number of chunks of a packed blob of n bytes.
func ChunkCount(n int64) int { return int((n + ChunkSize - 1) / ChunkSize) }

// Chunks cuts a packed blob into pieces of ChunkSize, the last one shorter.
// The pieces alias data.
func Chunks(data []byte) [][]byte {
	out := make([][]byte, 0, ChunkCount(int64(len(data))))
	for len(data) > 0 {
		n := min(len(data), ChunkSize)
		out = append(out, data[:n:n])
		data = data[n:]
	}
	return out
}

// Join is the inverse of Chunks for a packed blob of n bytes; it refuses
// chunks of any other shape.
func Join(chunks [][]byte, n int64) ([]byte, error) {
	if n < 0 || len(chunks) != ChunkCount(n) {
		return nil, bad("chunk", fmt.Sprintf("count %d", len(chunks)), fmt.Errorf("%w: %d bytes make %d", ErrBound, n, ChunkCount(n)))
	}
	out := make([]byte, 0, n)
	for i, c := range chunks {
		want := min(int64(ChunkSize), n-int64(len(out)))
		if int64(len(c)) != want {
			return nil, bad("chunk", fmt.Sprintf("%d", i), fmt.Errorf("%w: %d bytes, must be %d", ErrBound, len(c), want))
		}
		out = append(out, c...)
	}
	return out, nil
}

// Unpack joins, decompresses and checks a blob against its address: what a
// node does with the last chunk of an upload.
func Unpack(chunks [][]byte, packed, size int64, want Hash) ([]byte, error) {
	data, err := Join(chunks, packed)
	if err != nil {
		return nil, err
	}
	blob, err := Decompress(data, size)
	if err != nil {
		return nil, err
	}
	if HashOf(blob) != want {
		return nil, bad("archive", "hash", fmt.Errorf("%w: %v, must be %v", ErrDigest, HashOf(blob), want))
	}
	return blob, nil
}
