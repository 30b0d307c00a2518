package cpudev

import (
	"bytes"
	"encoding/binary"

	"github.com/assaynet/assay/hostgpu/device"
	"golang.org/x/crypto/chacha20"
	"lukechampine.com/blake3"
)

// stream opens the ChaCha20 keystream of ops expand and sample.
func stream(seed []byte, number int64) (*chacha20.Cipher, error) {
	var nonce [chacha20.NonceSize]byte
	binary.LittleEndian.PutUint64(nonce[4:], uint64(number))
	return chacha20.NewUnauthenticatedCipher(seed, nonce[:])
}

// chachaBlock is the bytes of one step of the block counter.
const chachaBlock = 64

func (e *engine) expand(dst, seed []byte, number int64) error {
	if _, err := stream(seed, number); err != nil {
		return err
	}
	const piece = 1 << 18 // a multiple of chachaBlock
	e.parallel(len(dst), piece, 1, func(lo, hi int) {
		e.k.expand(dst[lo:hi], seed, number, uint32(lo/chachaBlock))
	})
	return nil
}

// expand fills p from a block of the keystream on. The seed has 32 bytes.
func expand(p, seed []byte, number int64, block uint32) {
	c, err := stream(seed, number)
	if err != nil {
		panic(err) // only for a seed of another size, which the table forbids
	}
	c.SetCounter(block)
	clear(p)
	c.XORKeyStream(p, p)
	for {
		i := bytes.IndexByte(p, 0x80)
		if i < 0 {
			return
		}
		p[i] = 0
		p = p[i+1:]
	}
}

func (e *engine) embed(dst []int32, table []int8, scale []device.Scale, ids []int32, k, frac int) {
	e.rows(len(ids), 2*k, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			id := clampIndex(ids[i], len(scale))
			m, exp := load(scale[id])
			row, out := table[id*k:(id+1)*k], dst[i*k:(i+1)*k]
			for j, v := range row {
				out[j] = shr(int64(v)*m, exp-frac)
			}
		}
	})
}

func (e *engine) slice(dst, src []byte, n, k, skip int) {
	for i := range len(dst) / n {
		copy(dst[i*n:(i+1)*n], src[i*k+skip:])
	}
}

func (e *engine) gather(dst, src []byte, ids []int32, n, rows int) {
	for i, id := range ids {
		copy(dst[i*n:(i+1)*n], src[clampIndex(id, rows)*n:])
	}
}

func (e *engine) digest(dst []byte, src device.Tensor, key []byte) {
	h := blake3.New(32, key)
	var head [9]byte
	head[0] = byte(src.Type)
	binary.LittleEndian.PutUint32(head[1:], uint32(src.Shape.Rows))
	binary.LittleEndian.PutUint32(head[5:], uint32(src.Shape.Cols))
	h.Write(head[:])
	h.Write(bytesOf(src))
	h.Sum(dst[:0])
}
