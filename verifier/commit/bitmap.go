package commit

// Bitmap is a set of positions in a sorted list of claims: bit i of byte i/8,
// least significant first. Unused bits of the last byte are zero, so a set
// over n positions has exactly one encoding.
type Bitmap []byte

// NewBitmap is the empty set over n positions.
func NewBitmap(n int) Bitmap { return make(Bitmap, (n+7)/8) }

// Set adds position i.
func (b Bitmap) Set(i int) { b[i/8] |= 1 << (i % 8) }

// Has reports whether position i is in the set; false outside the list.
func (b Bitmap) Has(i int) bool {
	return i >= 0 && i/8 < len(b) && b[i/8]&(1<<(i%8)) != 0
}

// Check refuses a bitmap that is not the encoding of a set over n positions.
func (b Bitmap) Check(n int) error {
	if len(b) != (n+7)/8 {
		return refuse(ErrShape, "bitmap of %d bytes over %d claims, want %d", len(b), n, (n+7)/8)
	}
	if n%8 != 0 && b[len(b)-1]>>(n%8) != 0 {
		return refuse(ErrEncoding, "bitmap has bits past claim %d", n-1)
	}
	return nil
}
