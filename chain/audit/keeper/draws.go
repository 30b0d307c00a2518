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

// gasVRF is charged for each VRF proof: a pairing takes about two milliseconds, at 200,000 gas each.
const gasVRF = 400_000

// roundInput is what all seats of the running round evaluate to draw units.
func roundInput(ctx context.Context, e sprinttypes.Epoch) []byte {
	return sample.Input(sdk.UnwrapSDKContext(ctx).ChainID(), e.Number, uint64(e.Round), commit.Root(e.ClaimsRoot))
}

// verifyVRF checks a proof of the input against the key frozen for the seat and returns the output.
func (k Keeper) verifyVRF(ctx context.Context, input []byte, seat types.Seat, proof []byte) (sample.Output, error) {
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(gasVRF, "VRF proof")
	key, err := sample.ParsePublicKey(seat.VrfKey)
	if err != nil {
		return sample.Output{}, errors.Wrapf(types.ErrInvalidProof, "frozen key of %s: %v", seat.Validator, err)
	}
	p, err := sample.ParseProof(proof)
	if err != nil {
		return sample.Output{}, errors.Wrap(types.ErrInvalidProof, err.Error())
	}
	if k.proofs.has(proofID{string(input), key, p}) {
		return p.Output(), nil
	}
	out, err := key.Verify(input, p)
	if err != nil {
		return sample.Output{}, errors.Wrapf(types.ErrInvalidProof, "of %s for the running round: %v", seat.Validator, err)
	}
	return out, nil
}

// draw is what a seat draws of a claim in the running round.
func draw(e sprinttypes.Epoch, r types.Round, seat types.Seat, validator, claimant sdk.AccAddress, c sprinttypes.Claim) sample.Draw {
	d := sample.Draw{
		Validator: validator, Claimant: claimant, Count: c.Count, Units: e.DrawOf(c),
		Power: seat.Power, TotalPower: r.Power,
	}
	if i, ok := seatOf(r.Seats, c.Miner); ok {
		d.ClaimantPower = r.Seats[i].Power
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
		out, err := k.verifyVRF(ctx, roundInput(ctx, e), seat, proof)
		return out, err == nil, err
	}
	v, found, err := get(ctx, k.verdicts, verdictKey(e.Number, e.Round, validator))
	if err != nil || !found {
		return sample.Output{}, false, err
	}
	return sample.Output(v.Output), true, nil
}
