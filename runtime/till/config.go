package till

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/assaynet/assay/verifier/commit"
)

// Errors of a Chain.
var (
	// ErrNoChannel: the channel does not exist, or not any more.
	ErrNoChannel = errors.New("till: no such channel")
	// ErrRefused: the chain will not take the message, now or later.
	ErrRefused = errors.New("till: refused by the chain")
)

// Channel is a client's escrow.
type Channel struct {
	Miner   []byte
	Escrow  uint64 // ngnk paid in
	Settled uint64 // ngnk paid out
	Closes  int64  // first height that is too late to settle; 0: open
	// Verify checks the client's signature.
	Verify func(msg, sig []byte) bool
}

// State is where the chain is.
type State struct {
	Height      int64
	Epoch       uint64
	EpochStart  int64
	EpochEnd    int64 // first height of the next epoch, as planned
	CloseBlocks int64 // how long a miner may settle after a client closes
}

// Chain is what the till needs of the chain. It is safe for concurrent use.
type Chain interface {
	Channel(ctx context.Context, id uint64) (Channel, error) // or ErrNoChannel
	State(ctx context.Context) (State, error)
	// WaitHeight returns the newest height once it is at least h.
	WaitHeight(ctx context.Context, h int64) (int64, error)
	// CommitReceipts and Settle return once a block holds the message. A
	// refusal wraps ErrRefused. Committing what was committed is no error.
	CommitReceipts(ctx context.Context, epoch uint64, root commit.Root, count uint64) error
	Settle(ctx context.Context, v commit.Voucher, signature []byte) error
}

// Config of a Till. All fields but Log and WorthSettling are required.
type Config struct {
	Chain   Chain
	Dir     string // the till's own folder; made if missing
	ChainID string
	Miner   []byte // address bytes
	// PromptByte and Token are the price in ngnk, at most MaxPrice each.
	PromptByte uint64
	Token      uint64
	// WorthSettling is the least gain in ngnk for which a transaction is sent
	// once an epoch. Default 10,000: twenty times the fee.
	WorthSettling uint64
	Log           *slog.Logger // nil: none
}

// MaxPrice bounds a price in ngnk so that no request's price overflows:
// (MaxPrompt + MaxTokens) · MaxPrice < 2^57.
const MaxPrice = 1_000_000_000_000

const (
	// maxChannels bounds the ledgers kept at once.
	maxChannels = 4096
	// fee is about what one settlement costs, in ngnk.
	fee = 500
	// grace is how many blocks a transaction is given to be included.
	grace = 6
	// settleAfter is how many blocks into an epoch the one before is sealed:
	// clients that asked for terms just before the change are still served.
	settleAfter = 2
	// keepEpochs is how long receipts stay on disk.
	keepEpochs = 32
)

func (c Config) validate() error {
	switch {
	case c.Chain == nil || c.Dir == "" || c.ChainID == "" || len(c.Miner) == 0:
		return errors.New("till: Chain, Dir, ChainID and Miner are required")
	case c.PromptByte > MaxPrice || c.Token > MaxPrice:
		return fmt.Errorf("till: price of %d a byte and %d a token; at most %d ngnk allowed", c.PromptByte, c.Token, uint64(MaxPrice))
	case c.PromptByte == 0 && c.Token == 0:
		return errors.New("till: serving for free needs no till")
	}
	return nil
}
