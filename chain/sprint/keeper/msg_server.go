package keeper

import (
	"context"
	"encoding/hex"
	stderrors "errors"
	"strconv"

	"cosmossdk.io/errors"
	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
)

// gasHash is charged for each node of a consistency proof, beside the transaction's bytes: two
// SHA-256 of 65 bytes, priced like ten of the store's flat reads per thousand.
const gasHash = 100

type msgServer struct{ Keeper }

// NewMsgServer returns the handlers of the module's messages.
func NewMsgServer(k Keeper) types.MsgServer { return msgServer{k} }

var _ types.MsgServer = msgServer{}

// CommitWork takes a first claim or an extension. What it takes in the grace after the deadline is
// late: validators say with their verdicts whether they had seen it in time.
func (s msgServer) CommitWork(ctx context.Context, m *types.MsgCommitWork) (*types.MsgCommitWorkResponse, error) {
	if err := m.ValidateBasic(); err != nil {
		return nil, err
	}
	miner, err := s.addressOf(m.Miner)
	if err != nil {
		return nil, err
	}
	e, err := s.Epoch(ctx)
	if err != nil {
		return nil, err
	}
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	if m.Epoch != e.Number {
		return nil, errors.Wrapf(types.ErrWrongEpoch, "claim names epoch %d, epoch %d runs", m.Epoch, e.Number)
	}
	late := e.AcceptsLate(sdkCtx.BlockHeight())
	if !late && !e.AcceptsClaims(sdkCtx.BlockHeight()) {
		return nil, errors.Wrapf(types.ErrCommitClosed, "at height %d; epoch %d took claims below height %d",
			sdkCtx.BlockHeight(), e.Number, e.CommitEnd)
	}
	if !e.HasWork() {
		return nil, errors.Wrapf(types.ErrNoWork, "in epoch %d", e.Number)
	}
	registered, jailed, err := s.power.Miner(ctx, miner)
	switch {
	case err != nil:
		return nil, err
	case !registered:
		return nil, errors.Wrapf(types.ErrUnknownMiner, "%s; register first", m.Miner)
	case jailed:
		return nil, errors.Wrap(types.ErrJailedMiner, m.Miner)
	}
	if err := e.Params.CheckCount(m.Count); err != nil {
		return nil, err
	}

	claim, err := s.Claim(ctx, e.Number, miner)
	switch {
	case stderrors.Is(err, types.ErrNoClaim):
		if len(m.Proof) != 0 {
			return nil, errors.Wrap(types.ErrInvalidProof, "a first claim carries none")
		}
		if e.Claims >= e.Params.MaxClaims {
			return nil, errors.Wrapf(types.ErrTooManyClaims, "at most %d", e.Params.MaxClaims)
		}
		claim = types.Claim{Epoch: e.Number, Miner: m.Miner, Amount: math.ZeroInt(), Withheld: math.ZeroInt()}
		e.Claims++
	case err != nil:
		return nil, err
	default:
		if err := checkExtension(sdkCtx, e.Params, claim, m); err != nil {
			return nil, err
		}
		claim.Extensions++
		e.Units -= claim.Count
	}
	proposer, err := s.power.Operator(ctx, sdkCtx.BlockHeader().ProposerAddress)
	if err != nil {
		return nil, err
	}
	if late {
		if claim.Late == 0 {
			e.Late++
		}
		claim.Late += m.Count - claim.Count
		claim.LateProposer = proposer
	} else {
		claim.Proposer = proposer
	}

	claim.Root, claim.Count = m.Root, m.Count
	e.Units += m.Count
	if err := s.setClaim(ctx, miner, claim); err != nil {
		return nil, err
	}
	if err := s.epoch.Set(ctx, e); err != nil {
		return nil, err
	}
	s.emit(ctx, "claim", e.Number, sdk.NewAttribute("miner", m.Miner),
		sdk.NewAttribute("units", strconv.FormatUint(m.Count, 10)),
		sdk.NewAttribute("root", hex.EncodeToString(m.Root)))
	return &types.MsgCommitWorkResponse{}, nil
}

func checkExtension(ctx sdk.Context, p types.Params, claim types.Claim, m *types.MsgCommitWork) error {
	if claim.Extensions >= p.MaxExtensions {
		return errors.Wrapf(types.ErrTooManyExtends, "at most %d", p.MaxExtensions)
	}
	if m.Count <= claim.Count {
		return errors.Wrapf(types.ErrNotExtended, "%d units after %d", m.Count, claim.Count)
	}
	ctx.GasMeter().ConsumeGas(gasHash*uint64(len(m.Proof)), "consistency proof")
	err := commit.VerifyConsistency(p.Fold, claim.Count, m.Count, commit.Root(claim.Root), commit.Root(m.Root), m.Proof)
	if err != nil {
		return errors.Wrapf(types.ErrNotAppendOnly, "from %d to %d units: %v", claim.Count, m.Count, err)
	}
	return nil
}

// UpdateParams replaces the parameters from the next epoch on.
func (s msgServer) UpdateParams(ctx context.Context, m *types.MsgUpdateParams) (*types.MsgUpdateParamsResponse, error) {
	if m.Authority != s.authority {
		return nil, errors.Wrapf(types.ErrInvalidAuthority, "%s, not %s", m.Authority, s.authority)
	}
	if err := m.Params.Validate(); err != nil {
		return nil, err
	}
	return &types.MsgUpdateParamsResponse{}, s.params.Set(ctx, m.Params)
}
