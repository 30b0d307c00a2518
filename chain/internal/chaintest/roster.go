package chaintest

import (
	"context"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"

	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

// Roster implements what the modules need of the registry and of power, in memory: who is
// registered, who is jailed, and what was asked of it.
type Roster struct {
	Work     sprinttypes.Work
	Miners   map[string]bool // true: jailed
	Opened   []uint64        // epochs in the order in which they opened
	Settled  map[uint64][]sprinttypes.Share
	Prepared map[uint64]bool // all of Settled is there
	cursor   []byte
	// Entries of a page of PrepareEpoch; 0: as many as the sprint asks for.
	Entries  uint32
	Failures []uint64
	Jailings []string
	Answers  map[string]int // taken, by miner
	// Unheard is the power, of 100, of the validators that make no blocks.
	Unheard uint64
	// Operators of validators by consensus address.
	Operators map[string]sdk.AccAddress
}

// NewRoster returns a roster with a module and no miners.
func NewRoster() *Roster {
	hash := make([]byte, 32)
	hash[0] = 0xa5
	return &Roster{
		Work:    sprinttypes.Work{ModuleHash: hash, Params: []byte{1, 2}, TensorBytes: 1 << 20, GasSetup: 1000, GasUnit: 100},
		Miners:  make(map[string]bool),
		Settled: make(map[uint64][]sprinttypes.Share), Operators: make(map[string]sdk.AccAddress),
		Answers: make(map[string]int), Prepared: make(map[uint64]bool),
	}
}

// Register adds miners.
func (r *Roster) Register(miners ...sdk.AccAddress) {
	for _, m := range miners {
		r.Miners[string(m)] = false
	}
}

// Miner implements the modules' interface.
func (r *Roster) Miner(_ context.Context, m sdk.AccAddress) (registered, jailed bool, err error) {
	jailed, registered = r.Miners[string(m)]
	return registered, jailed, nil
}

// Answered implements the audit's interface.
func (r *Roster) Answered(_ context.Context, m sdk.AccAddress) error {
	r.Answers[string(m)]++
	return nil
}

// Heard implements the audit's interface: all but Unheard make blocks all the time.
func (r *Roster) Heard(context.Context, int64) (power, total uint64, err error) {
	return 100 - r.Unheard, 100, nil
}

// Operator implements the sprint's interface.
func (r *Roster) Operator(_ context.Context, consensus []byte) (sdk.AccAddress, error) {
	return r.Operators[string(consensus)], nil
}

// Jail implements the audit's interface.
func (r *Roster) Jail(_ context.Context, m sdk.AccAddress) error {
	r.Miners[string(m)] = true
	r.Jailings = append(r.Jailings, string(m))
	return nil
}

// PrepareEpoch implements the sprint's interface: it takes one page a call, of so many entries.
func (r *Roster) PrepareEpoch(ctx context.Context, settled sprinttypes.Settled, entries uint32) (ready bool, err error) {
	if r.Prepared[settled.Epoch] {
		return true, nil
	}
	if r.Entries > 0 {
		entries = r.Entries
	}
	page, err := settled.Next(ctx, r.cursor, int(entries))
	if err != nil {
		return false, err
	}
	if r.Settled[settled.Epoch] == nil {
		r.Settled[settled.Epoch] = []sprinttypes.Share{}
	}
	for _, share := range page {
		r.cursor = share.Miner
		if share.Units > 0 {
			r.Settled[settled.Epoch] = append(r.Settled[settled.Epoch], share)
		}
	}
	if len(page) < int(entries) {
		r.Prepared[settled.Epoch], r.cursor = true, nil
	}
	return r.Prepared[settled.Epoch], nil
}

// Sweep implements the sprint's interface: it has nothing to remove.
func (r *Roster) Sweep(context.Context, uint32) error { return nil }

// Registry is the part of the roster that knows the module.
func (r *Roster) Registry() sprinttypes.Registry { return registry{r} }

// Power is the part that the sprint sees of power.
func (r *Roster) Power() sprinttypes.Power { return power{r} }

type registry struct{ r *Roster }

func (g registry) OpenEpoch(_ context.Context, epoch uint64) (sprinttypes.Work, error) {
	g.r.Opened = append(g.r.Opened, epoch)
	return g.r.Work, nil
}

func (g registry) ModuleFailed(_ context.Context, epoch uint64) error {
	g.r.Failures = append(g.r.Failures, epoch)
	return nil
}

type power struct{ *Roster }

func (p power) OpenEpoch(_ context.Context, epoch uint64) error {
	if epoch > 1 && !p.Prepared[epoch-1] {
		return fmt.Errorf("epoch %d opens unprepared", epoch)
	}
	return nil
}
