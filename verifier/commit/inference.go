package commit

import "lukechampine.com/blake3"

// Bounds of inference requests.
const (
	MaxPrompt = 1 << 16 // bytes of a prompt
	MaxTokens = 1 << 15 // tokens of an answer; attention takes at most 32k keys
	MaxText   = 1 << 10 // bytes of text of one token
	Q16       = 1 << 16 // one, in the fixed point of the sampling parameters
)

const (
	tagRequest = "assay/request/1"
	tagReceipt = "assay/receipt/1"
	tagVoucher = "assay/voucher/1"
	tagOutput  = "assay/output/1"
	tagFrame   = "assay/frame/1"
)

// Sampling is how tokens are chosen; the bounds are those of the op sample.
type Sampling struct {
	Temperature uint32 // Q16, at most 16.0; 0 takes the most likely token
	TopK        uint32 // 0 keeps all, at most 2^24
	TopP        uint32 // Q16, at most 1.0, which keeps all
	Penalty     uint32 // Q16 repetition penalty, 0.25 to 4.0; 1.0 is none
}

// Greedy takes the most likely token at each step.
func Greedy() Sampling { return Sampling{TopP: Q16, Penalty: Q16} }

func (s Sampling) validate() error {
	switch {
	case s.Temperature > 16*Q16:
		return refuse(ErrBounds, "temperature %d, at most %d allowed", s.Temperature, 16*Q16)
	case s.TopK > 1<<24:
		return refuse(ErrBounds, "top-k %d, at most %d allowed", s.TopK, 1<<24)
	case s.TopP > Q16:
		return refuse(ErrBounds, "top-p %d, at most %d allowed", s.TopP, Q16)
	case s.Penalty < Q16/4 || s.Penalty > 4*Q16:
		return refuse(ErrBounds, "repetition penalty %d, %d to %d allowed", s.Penalty, Q16/4, 4*Q16)
	}
	return nil
}

// Request is everything that determines an answer. The guest reads its
// canonical bytes through assay.request; its fields up to Prompt have fixed
// offsets behind the tag.
type Request struct {
	Module    [32]byte // SHA-256 of the module's binary
	Model     [32]byte // SHA-256 of the model's blob
	Seed      [32]byte // chosen by the client
	Sampling  Sampling
	MaxTokens uint32 // 1 to MaxTokens
	Prompt    []byte // at most MaxPrompt
}

// Validate checks every bound.
func (q Request) Validate() error {
	if err := q.Sampling.validate(); err != nil {
		return err
	}
	if q.MaxTokens == 0 || q.MaxTokens > MaxTokens {
		return refuse(ErrBounds, "%d tokens wanted, 1 to %d allowed", q.MaxTokens, MaxTokens)
	}
	if len(q.Prompt) > MaxPrompt {
		return refuse(ErrBounds, "prompt of %d bytes, at most %d allowed", len(q.Prompt), MaxPrompt)
	}
	return nil
}

// Bytes is the canonical encoding.
func (q Request) Bytes() []byte {
	w := newWriter(tagRequest, 3*32+5*4+4+len(q.Prompt))
	w.raw(q.Module[:])
	w.raw(q.Model[:])
	w.raw(q.Seed[:])
	w.u32(q.Sampling.Temperature)
	w.u32(q.Sampling.TopK)
	w.u32(q.Sampling.TopP)
	w.u32(q.Sampling.Penalty)
	w.u32(q.MaxTokens)
	w.bytes(q.Prompt)
	return w.b
}

// Hash is BLAKE3 of the canonical bytes.
func (q Request) Hash() [32]byte { return blake3.Sum256(q.Bytes()) }

// DecodeRequest decodes and validates.
func DecodeRequest(b []byte) (Request, error) {
	r := newReader(tagRequest, b)
	q := Request{Module: r.hash(), Model: r.hash(), Seed: r.hash(),
		Sampling:  Sampling{Temperature: r.u32(), TopK: r.u32(), TopP: r.u32(), Penalty: r.u32()},
		MaxTokens: r.u32(), Prompt: r.bytes("prompt", MaxPrompt)}
	if err := r.close(); err != nil {
		return Request{}, err
	}
	if err := q.Validate(); err != nil {
		return Request{}, err
	}
	return q, nil
}

// Receipt is what a miner signs at the end of an answer. Anyone can re-run it
// from the request and the tokens.
type Receipt struct {
	ChainID      string
	Channel      uint64
	Miner        []byte
	Epoch        uint64
	Request      [32]byte // Request.Hash
	Module       [32]byte
	Model        [32]byte
	Output       [32]byte // Output.Sum after the last token
	TraceRoot    [32]byte // root of per-layer state digests; zero when none was taken
	Trap         uint8    // abi.Trap the module ended with
	PromptTokens uint32
	Tokens       uint32 // emitted
	Gas          uint64 // units that are priced
	Price        uint64 // ngnk
}

// Validate checks every bound.
func (r Receipt) Validate() error {
	if err := checkChainID(r.ChainID); err != nil {
		return err
	}
	if err := checkAddress(r.Miner); err != nil {
		return err
	}
	if r.Trap == 0 {
		return refuse(ErrBounds, "no outcome")
	}
	if r.Tokens > MaxTokens {
		return refuse(ErrBounds, "%d tokens, at most %d allowed", r.Tokens, MaxTokens)
	}
	return nil
}

// Bytes is the canonical encoding: what is signed.
func (r Receipt) Bytes() []byte {
	w := newWriter(tagReceipt, 4+len(r.ChainID)+8+4+len(r.Miner)+8+5*32+1+4+4+8+8)
	w.bytes([]byte(r.ChainID))
	w.u64(r.Channel)
	w.bytes(r.Miner)
	w.u64(r.Epoch)
	w.raw(r.Request[:])
	w.raw(r.Module[:])
	w.raw(r.Model[:])
	w.raw(r.Output[:])
	w.raw(r.TraceRoot[:])
	w.u8(r.Trap)
	w.u32(r.PromptTokens)
	w.u32(r.Tokens)
	w.u64(r.Gas)
	w.u64(r.Price)
	return w.b
}

// Hash is BLAKE3 of the canonical bytes.
func (r Receipt) Hash() [32]byte { return blake3.Sum256(r.Bytes()) }

// DecodeReceipt decodes and validates.
func DecodeReceipt(b []byte) (Receipt, error) {
	d := newReader(tagReceipt, b)
	r := Receipt{ChainID: string(d.bytes("chain ID", MaxChainID)), Channel: d.u64(),
		Miner: d.bytes("miner", MaxAddress), Epoch: d.u64(),
		Request: d.hash(), Module: d.hash(), Model: d.hash(), Output: d.hash(), TraceRoot: d.hash(),
		Trap: d.u8(), PromptTokens: d.u32(), Tokens: d.u32(), Gas: d.u64(), Price: d.u64()}
	if err := d.close(); err != nil {
		return Receipt{}, err
	}
	if err := r.Validate(); err != nil {
		return Receipt{}, err
	}
	return r, nil
}

// ReceiptsRoot is the RFC 6962 root over receipts' canonical bytes in the
// given order: what a miner settles for an epoch.
func ReceiptsRoot(receipts []Receipt) Root {
	leaves := make([][]byte, len(receipts))
	for i, r := range receipts {
		leaves[i] = r.Bytes()
	}
	return treeOf(leaves).root()
}

// Voucher is what a client signs: the miner may take Amount in all from the
// channel. Each voucher replaces the one before it.
type Voucher struct {
	ChainID string
	Channel uint64
	Miner   []byte
	Epoch   uint64
	Amount  uint64 // ngnk, cumulative over the channel's life
}

// Validate checks every bound.
func (v Voucher) Validate() error {
	if err := checkChainID(v.ChainID); err != nil {
		return err
	}
	return checkAddress(v.Miner)
}

// Bytes is the canonical encoding: what is signed.
func (v Voucher) Bytes() []byte {
	w := newWriter(tagVoucher, 4+len(v.ChainID)+8+4+len(v.Miner)+8+8)
	w.bytes([]byte(v.ChainID))
	w.u64(v.Channel)
	w.bytes(v.Miner)
	w.u64(v.Epoch)
	w.u64(v.Amount)
	return w.b
}

// DecodeVoucher decodes and validates.
func DecodeVoucher(b []byte) (Voucher, error) {
	d := newReader(tagVoucher, b)
	v := Voucher{ChainID: string(d.bytes("chain ID", MaxChainID)), Channel: d.u64(),
		Miner: d.bytes("miner", MaxAddress), Epoch: d.u64(), Amount: d.u64()}
	if err := d.close(); err != nil {
		return Voucher{}, err
	}
	if err := v.Validate(); err != nil {
		return Voucher{}, err
	}
	return v, nil
}

// Output is the running digest of an answer. It starts from the request, and
// each frame chains one token and its text, so every frame of a stream can
// carry the digest so far and the receipt's Output is the last one.
type Output struct{ sum [32]byte }

// NewOutput starts the digest of the answer to a request.
func NewOutput(request [32]byte) *Output {
	w := newWriter(tagOutput, 32)
	w.raw(request[:])
	return &Output{sum: w.sum()}
}

// Add chains one token and returns the digest so far.
func (o *Output) Add(token uint32, text []byte) [32]byte {
	w := newWriter(tagFrame, 32+4+4+len(text))
	w.raw(o.sum[:])
	w.u32(token)
	w.bytes(text)
	o.sum = w.sum()
	return o.sum
}

// Sum is the digest so far.
func (o *Output) Sum() [32]byte { return o.sum }

func checkChainID(id string) error {
	if len(id) == 0 || len(id) > MaxChainID {
		return refuse(ErrBounds, "chain ID of %d bytes, 1 to %d allowed", len(id), MaxChainID)
	}
	return nil
}
