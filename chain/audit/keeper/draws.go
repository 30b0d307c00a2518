package keeper

import (
	"context"

	"cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// gasVRF is charged for each VRF proof: a pairing takes about two milliseconds, as long as the
// SDK's 1,000 gas for a secp256k1 signature buys twenty times.
const gasVRF = 40_000

// verifyVRF checks a proof against the key frozen for the seat and returns the output.
func verifyVRF(ctx context.Context, e sprinttypes.Epoch, seat types.Seat, proof []byte) (sample.Output, error) {
	sdkCtx := sdk.UnwrapSDKContext(ctx)
	sdkCtx.GasMeter().ConsumeGas(gasVRF, "VRF proof")
	key, err := sample.ParsePublicKey(seat.VrfKey)
	if err != nil {
		return sample.Output{}, errors.Wrapf(types.ErrInvalidProof, "frozen key of %s: %v", seat.Validator, err)
	}
	p, err := sample.ParseProof(proof)
	if err != nil {
		return sample.Output{}, errors.Wrap(types.ErrInvalidProof, err.Error())
	}
	input := sample.Input(sdkCtx.ChainID(), e.Number, uint64(e.Round), commit.Root(e.ClaimsRoot))
	out, err := key.Verify(input, p)
	if err != nil {
		return sample.Output{}, errors.Wrapf(types.ErrInvalidProof, "of %s for epoch %d, round %d: %v", seat.Validator, e.Number, e.Round, err)
	}
	return out, nil
}

// draw is what a seat draws of a claim in the running round.
func draw(e sprinttypes.Epoch, r types.Round, seat types.Seat, validator, claimant sdk.AccAddress, c sprinttypes.Claim) sample.Draw {
	return drawIn(r.Seats, r.Power, e.DrawOf(c), seat, validator, claimant, c)
}

// firstDraw is what a seat drew of a claim in the first round, when every seat drew.
func firstDraw(e sprinttypes.Epoch, r types.Round, seat types.Seat, validator, claimant sdk.AccAddress, c sprinttypes.Claim) sample.Draw {
	all := append(append([]types.Seat(nil), r.Seats...), r.Absent...)
	e.Round = 0
	return drawIn(all, powerOf(all), e.DrawOf(c), seat, validator, claimant, c)
}

func drawIn(seats []types.Seat, total, units uint64, seat types.Seat, validator, claimant sdk.AccAddress, c sprinttypes.Claim) sample.Draw {
	d := sample.Draw{
		Validator: validator, Claimant: claimant, Count: c.Count, Units: units,
		Power: seat.Power, TotalPower: total,
	}
	if i, ok := seatOf(seats, c.Miner); ok {
		d.ClaimantPower = seats[i].Power
	}
	return d
}

func powerOf(seats []types.Seat) (sum uint64) {
	for _, s := range seats {
		sum += s.Power
	}
	return sum
}

// outputOf returns a seat's VRF output of the running round: out of the proof, or else out of the
// verdict that is on chain.
func (k Keeper) outputOf(ctx context.Context, e sprinttypes.Epoch, seat types.Seat, validator sdk.AccAddress, proof []byte) (sample.Output, bool, error) {
	if len(proof) > 0 {
		out, err := verifyVRF(ctx, e, seat, proof)
		return out, err == nil, err
	}
	v, found, err := get(ctx, k.verdicts, verdictKey(e.Number, e.Round, validator))
	if err != nil || !found {
		return sample.Output{}, false, err
	}
	return sample.Output(v.Output), true, nil
}
