package keeper

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"cosmossdk.io/collections"
	"cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
)

const seedTag = "assay/seed/1"

// EndBlock moves the epoch on. It must run before the audit's EndBlock, so that the audit sees the
// phase of the next block, and before that of the module that returns validator updates.
func (k Keeper) EndBlock(ctx context.Context) error {
	e, err := k.epoch.Get(ctx)
	if err != nil {
		return err
	}
	if e.Phase != types.PHASE_SETTLE && e.Phase != types.PHASE_RELEASE {
		if err := k.prune(ctx, e); err != nil {
			return err
		}
	}
	ready := false
	switch e.Phase {
	case types.PHASE_COMPUTE, types.PHASE_AUDIT, types.PHASE_ADJUDICATE:
		err = k.power.Sweep(ctx, e.Params.SettlePage)
	case types.PHASE_RELEASE, types.PHASE_DONE:
		ready, err = k.prepare(ctx, e)
	}
	if err != nil {
		return err
	}
	next := sdk.UnwrapSDKContext(ctx).BlockHeight() + 1
	switch e.Phase {
	case types.PHASE_UNSPECIFIED:
		return k.open(ctx, 1, next)
	case types.PHASE_COMPUTE, types.PHASE_COMMIT:
		if over, err := k.claimsOver(ctx, e, next); err != nil || over {
			if err == nil {
				err = k.fixClaims(ctx, e, next)
			}
			return err
		}
		if e.Phase == types.PHASE_COMPUTE && next >= e.ComputeEnd {
			return k.enter(ctx, e, types.PHASE_COMMIT)
		}
	case types.PHASE_AUDIT:
		if next >= e.AuditEnd {
			return k.enter(ctx, e, types.PHASE_ADJUDICATE)
		}
	case types.PHASE_ADJUDICATE:
		// The audit ends it, by Redraw or Settle.
	case types.PHASE_SETTLE:
		return k.settlePage(ctx, e)
	case types.PHASE_RELEASE:
		return k.releasePage(ctx, e)
	case types.PHASE_DONE:
		if ready && next >= e.NextStart {
			return k.open(ctx, e.Number+1, next)
		}
	}
	return nil
}

// Seed returns what an epoch's inputs expand from.
func Seed(chainID string, number uint64, entropy, blockHash []byte) [32]byte {
	h := sha256.New()
	h.Write([]byte(seedTag))
	h.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(chainID))))
	h.Write([]byte(chainID))
	h.Write(binary.LittleEndian.AppendUint64(nil, number))
	h.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(entropy))))
	h.Write(entropy)
	h.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(blockHash))))
	h.Write(blockHash)
	return [32]byte(h.Sum(nil))
}

// open starts an epoch at height start; the block that runs is the one before.
func (k Keeper) open(ctx context.Context, number uint64, start int64) error {
	params, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	chain, err := k.chain.Get(ctx)
	if err != nil {
		return err
	}
	work, err := k.registry.OpenEpoch(ctx, number)
	if err != nil {
		return errors.Wrapf(err, "open epoch %d", number)
	}
	if err := k.power.OpenEpoch(ctx, number); err != nil {
		return errors.Wrapf(err, "open epoch %d", number)
	}
	if err := k.collectFees(ctx); err != nil {
		return err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	seed := Seed(sdkCtx.ChainID(), number, chain.Entropy, sdkCtx.HeaderHash())
	e := params.Open(number, start, seed, work)
	if err := k.epoch.Set(ctx, e); err != nil {
		return err
	}
	k.emit(ctx, "epoch_open", number, sdk.NewAttribute("seed", hex.EncodeToString(seed[:])),
		sdk.NewAttribute("module", hex.EncodeToString(work.ModuleHash)),
		sdk.NewAttribute("start", strconv.FormatInt(start, 10)))
	return nil
}

// collectFees moves the transaction fees of the last epoch into the reserve: they reach those who
// compute, and no proposer gains by its own transactions.
func (k Keeper) collectFees(ctx context.Context) error {
	if len(k.collector) == 0 {
		return nil
	}
	fees := k.bank.GetBalance(ctx, k.collector, types.BaseDenom)
	return k.Reserve(ctx, k.collectorName, fees.Amount)
}

func (k Keeper) enter(ctx context.Context, e types.Epoch, phase types.Phase) error {
	e.Phase = phase
	if err := k.epoch.Set(ctx, e); err != nil {
		return err
	}
	k.emit(ctx, "epoch_phase", e.Number, sdk.NewAttribute("phase", phase.String()),
		sdk.NewAttribute("round", strconv.FormatUint(uint64(e.Round), 10)))
	return nil
}

// claimsOver says whether the next block takes no claim any more: the grace is over, and since the deadline more than
// a third of the power made blocks, so somebody else than any coalition below that. Where there is no grace, nobody is
// waited for.
func (k Keeper) claimsOver(ctx context.Context, e types.Epoch, next int64) (bool, error) {
	if next < e.ClaimsEnd() || e.Params.GraceBlocks == 0 {
		return next >= e.ClaimsEnd(), nil
	}
	heard, total, err := k.power.Heard(ctx, e.CommitEnd)
	return 3*heard > total || total == 0, err
}

// fixClaims ends the commit phase and its grace: no claim changes its root or count after it. The audit begins with
// the next block.
func (k Keeper) fixClaims(ctx context.Context, e types.Epoch, next int64) error {
	claims := make([]commit.Claim, 0, e.Claims)
	err := k.WalkClaims(ctx, e.Number, func(miner sdk.AccAddress, c types.Claim) (bool, error) {
		claims = append(claims, commit.Claim{Epoch: c.Epoch, Claimant: miner, Root: commit.Root(c.Root), Count: c.Count})
		return false, nil
	})
	if err != nil {
		return err
	}
	root := commit.ClaimsRoot(claims)
	e.ClaimsRoot = root[:]
	e.AuditEnd = next + int64(e.Params.AuditBlocks)
	return k.enter(ctx, e, types.PHASE_AUDIT)
}

// prune removes claims and settlements that are older than the parameters keep, one page a block,
// in all blocks that do not pay.
func (k Keeper) prune(ctx context.Context, e types.Epoch) error {
	chain, err := k.chain.Get(ctx)
	if err != nil {
		return err
	}
	old := chain.Pruned + 1
	if old+e.Params.RetainEpochs >= e.Number {
		return nil
	}
	var keys []collections.Pair[uint64, []byte]
	err = k.claims.Walk(ctx, collections.NewPrefixedPairRange[uint64, []byte](old),
		func(key collections.Pair[uint64, []byte], _ types.Claim) (bool, error) {
			keys = append(keys, key)
			return len(keys) >= int(e.Params.SettlePage), nil
		})
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := k.claims.Remove(ctx, key); err != nil {
			return err
		}
	}
	if len(keys) >= int(e.Params.SettlePage) {
		return nil // there may be more
	}
	if err := k.settlements.Remove(ctx, old); err != nil {
		return err
	}
	chain.Pruned = old
	return k.chain.Set(ctx, chain)
}

func (k Keeper) emit(ctx context.Context, kind string, epoch uint64, attributes ...sdk.Attribute) {
	all := append([]sdk.Attribute{sdk.NewAttribute("epoch", strconv.FormatUint(epoch, 10))}, attributes...)
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent(kind, all...))
}
