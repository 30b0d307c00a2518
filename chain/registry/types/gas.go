package types

// What the last chunk of an upload costs for each byte of the blob, beside the chunk itself: reading the
// chunks back, unpacking and hashing them take 5 ns of a byte at most; admitting a stock Go guest takes 35
// ns of one, and modules of nothing but arithmetic, calls or branches 25 to 70. Empty functions take 105,
// of which a module has 50,000 at most, and empty loops 133, of which the profile bounds the sum: such a
// module costs up to twice its price (docs/spec/modules.md). A millisecond is 200,000 gas.
const (
	modelByteGas  = 1
	moduleByteGas = 12
)

// ChunkGas is a limit of gas for the transaction of a chunk of n bytes: a byte costs 10 gas in the
// transaction and 30 when it is stored (the SDK's default prices); the rest is room.
func ChunkGas(n int) uint64 { return 1_000_000 + 44*uint64(n) }

// CompleteGas is the gas that completing a blob of a size and kind takes with its last chunk, beside what
// the chunk costs by itself.
func CompleteGas(kind string, size uint64) uint64 {
	if kind == KindModel {
		return modelByteGas * size
	}
	return moduleByteGas * size
}
