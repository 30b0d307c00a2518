package device

import "errors"

// Bounds of single ops; docs/spec/ops.md proves what they protect.
const (
	MaxK       = 1 << 17 // columns of a dot product or norm: 127²·2^17 < 2^31
	MaxHeadDim = 1 << 10 // columns of an attention head
	MaxKeys    = 1 << 16 // keys a query may see: 255·127·2^16 < 2^31
	MaxVocab   = 1 << 22 // logits of sample: sums of Q31 weights stay below 2^53
)

var (
	errK       = errors.New("more than 131,072 columns")
	errRope    = errors.New("want D even and at least 2, C a multiple of D, P at least 1")
	errHeads   = errors.New("want C = H·D, E = G·D, 1 <= D <= 1,024, H a multiple of G")
	errSegment = errors.New("want M = n·seg, S = n·T, seg <= T <= 65,536")
	errTable   = errors.New("empty table")
	errColumns = errors.New("columns outside src")
	errVocab   = errors.New("want V in [1, 4,194,304]")
)

func ruleK(d *Dims, _ []int64) error {
	if d.Get('K') > MaxK {
		return errK
	}
	return nil
}

// ruleRope sets H, the number of heads.
func ruleRope(d *Dims, _ []int64) error {
	dd := d.Get('D')
	if dd < 2 || dd%2 != 0 || d.Get('C')%dd != 0 || d.Get('P') < 1 {
		return errRope
	}
	d.set('H', d.Get('C')/dd)
	return nil
}

func ruleEmbed(d *Dims, _ []int64) error {
	if d.Get('V') < 1 {
		return errTable
	}
	return nil
}

func ruleSlice(d *Dims, imms []int64) error {
	if int(imms[0])+d.Get('N') > d.Get('K') {
		return errColumns
	}
	return nil
}

func ruleGather(d *Dims, _ []int64) error {
	if d.Get('S') < 1 {
		return errTable
	}
	return nil
}

func ruleSample(d *Dims, _ []int64) error {
	if v := d.Get('V'); v < 1 || v > MaxVocab {
		return errVocab
	}
	return nil
}

// ruleAttention sets T, the keys of a segment; 0 where there is none.
func ruleAttention(d *Dims, imms []int64) error {
	c, e, h, g := d.Get('C'), d.Get('E'), d.Get('H'), d.Get('G')
	if h < 1 || g < 1 || h%g != 0 || c%h != 0 || e%g != 0 {
		return errHeads
	}
	if hd := c / h; hd != e/g || hd < 1 || hd > MaxHeadDim {
		return errHeads
	}
	m, s, seg := d.Get('M'), d.Get('S'), int(imms[0])
	if m%seg != 0 {
		return errSegment
	}
	d.set('T', 0)
	if m == 0 {
		return nil
	}
	n := m / seg
	if s%n != 0 || s/n < seg || s/n > MaxKeys {
		return errSegment
	}
	d.set('T', s/n)
	return nil
}
