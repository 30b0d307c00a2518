package types

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"strings"

	cdctypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
)

// A sender without power puts a hash stamp into the memo of a fee-free transaction: "stamp:"
// and a nonce of 16 hex digits. The stamp is bound to the chain, the sender, its sequence and
// the messages, so it serves once.

// StampPrefix begins a memo that carries a stamp.
const StampPrefix = "stamp:"

const stampTag = "assay/power/stamp/1"

// Stamp is the preimage of a hash stamp without its nonce.
type Stamp [sha256.Size]byte

// NewStamp binds a stamp to a transaction: its chain, sender, sequence and messages. It fails
// only for messages that cannot be encoded.
func NewStamp(chainID string, sender []byte, sequence uint64, messages []sdk.Msg) (Stamp, error) {
	h := sha256.New()
	put := func(b []byte) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	put([]byte(stampTag))
	put([]byte(chainID))
	put(sender)
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], sequence)
	put(n[:])
	for _, m := range messages {
		value, err := cdctypes.NewAnyWithValue(m)
		if err != nil {
			return Stamp{}, ErrStamp.Wrapf("%v", err)
		}
		put([]byte(value.TypeUrl))
		put(value.Value)
	}
	return Stamp(h.Sum(nil)), nil
}

// Bits returns the number of leading zero bits of the stamp with the nonce.
func (s Stamp) Bits(nonce uint64) uint32 {
	var buf [len(s) + 8]byte
	copy(buf[:], s[:])
	binary.BigEndian.PutUint64(buf[len(s):], nonce)
	sum := sha256.Sum256(buf[:])
	var zeros uint32
	for _, b := range sum {
		zeros += uint32(bits.LeadingZeros8(b))
		if b != 0 {
			break
		}
	}
	return zeros
}

// Mint searches the memo with at least want leading zero bits: 2^want hashes on average.
func (s Stamp) Mint(want uint32) string {
	var nonce uint64
	for s.Bits(nonce) < want {
		nonce++
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], nonce)
	return StampPrefix + hex.EncodeToString(b[:])
}

// Check returns ErrStamp unless the memo carries a stamp with at least want zero bits.
func (s Stamp) Check(memo string, want uint32) error {
	if want == 0 {
		return nil
	}
	digits, ok := strings.CutPrefix(memo, StampPrefix)
	if !ok || len(digits) != 16 {
		return ErrStamp.Wrapf("the memo of a sender without power must be %q and 16 hex digits", StampPrefix)
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return ErrStamp.Wrapf("nonce %q: %v", digits, err)
	}
	if got := s.Bits(binary.BigEndian.Uint64(b)); got < want {
		return ErrStamp.Wrapf("%d leading zero bits, want %d", got, want)
	}
	return nil
}
