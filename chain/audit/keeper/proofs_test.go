package keeper_test

import (
	"errors"
	"testing"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/internal/chaintest"
	"github.com/assaynet/assay/verifier/sample"

	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

// Verifying a block's proofs together changes no result, whatever else is in the block.
func TestProofsOfABlockAreVerifiedTogether(t *testing.T) {
	powers := make([]uint64, 12)
	for i := range powers {
		powers[i] = 10
	}
	run := func(batched bool) (results []error, state string) {
		w := newWorld(t, sprintParams(), crossParams(), powers...)
		w.claim(20, 100)
		w.to(sprinttypes.PHASE_AUDIT)
		var msgs []sdk.Msg
		for v := range powers {
			msgs = append(msgs, w.compute(v, nil, true).msg)
		}
		msgs[3].(*types.MsgVerdict).VrfProof[20] ^= 1                                            // no proof
		msgs[4].(*types.MsgVerdict).VrfProof = msgs[5].(*types.MsgVerdict).VrfProof              // another's
		msgs[6].(*types.MsgVerdict).Epoch = 2                                                    // of another epoch
		msgs[7].(*types.MsgVerdict).Validator = w.Bech32(chaintest.Address(20))                  // no seat
		msgs = append(msgs, msgs[0], &types.MsgReport{}, &types.MsgChallenge{Epoch: 1}, msgs[8]) // twice, and others
		again := *msgs[9].(*types.MsgVerdict)
		again.VrfProof = append([]byte(nil), again.VrfProof...)
		again.VrfProof[30] ^= 1
		msgs = append([]sdk.Msg{&again}, msgs...) // a false one of the same seat first
		if batched {
			if err := w.k.CheckProofs(w.Ctx, msgs); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range msgs {
			if v, ok := m.(*types.MsgVerdict); ok {
				results = append(results, w.verdict(v))
			}
		}
		g, err := w.k.ExportGenesis(w.Ctx)
		if err != nil {
			t.Fatal(err)
		}
		return results, string(w.Codec.MustMarshalJSON(g))
	}
	plain, state := run(false)
	together, batchedState := run(true)
	accepted := 0
	for i := range plain {
		if (plain[i] == nil) != (together[i] == nil) || plain[i] != nil && plain[i].Error() != together[i].Error() {
			t.Errorf("message %d: %v by itself, %v in a batch", i, plain[i], together[i])
		}
		if plain[i] == nil {
			accepted++
		}
	}
	if state != batchedState || accepted != len(powers)-4 {
		t.Errorf("%d verdicts are accepted, states equal: %v", accepted, state == batchedState)
	}
}

// A proof that was verified for one round is worth nothing in another, nor is another input's.
func TestVerifiedProofsAreOfOneInput(t *testing.T) {
	w := newWorld(t, sprintParams(), crossParams(), 10, 20)
	w.claim(20, 100)
	w.to(sprinttypes.PHASE_AUDIT)
	a, b := w.cast(0, nil, true), w.compute(1, nil, true)
	if err := w.k.CheckProofs(w.Ctx, []sdk.Msg{a.msg, b.msg}); err != nil {
		t.Fatal(err)
	}
	if err := w.verdict(b.msg); err != nil {
		t.Fatal(err)
	}
	w.toStage(types.CROSS_CHALLENGE)
	m := w.challengeMsg(0)
	m.VrfProof = a.msg.VrfProof
	if err := w.challenge(m); !errors.Is(err, types.ErrInvalidProof) {
		t.Errorf("the verdict's proof as a challenge: %v", err)
	}
}

// Reports the time of all VRF proofs of a block with 100 verdicts, keys included.
func BenchmarkProofsOf100Verdicts(b *testing.B) {
	powers := make([]uint64, 100)
	for i := range powers {
		powers[i] = 10
	}
	w := newWorld(b, sprintParams(), crossParams(), powers...)
	w.claim(200, 100)
	w.to(sprinttypes.PHASE_AUDIT)
	var msgs []sdk.Msg
	for v := range powers {
		m := w.verdictMsg(v, true)
		if len(m.VrfProof) != sample.ProofSize {
			b.Fatal("no proof")
		}
		msgs = append(msgs, m)
	}
	for name, c := range map[string]func(){
		"valid":    func() {},
		"oneFalse": func() { msgs[37].(*types.MsgVerdict).VrfProof = msgs[38].(*types.MsgVerdict).VrfProof },
	} {
		b.Run(name, func(b *testing.B) {
			keep := msgs[37].(*types.MsgVerdict).VrfProof
			c()
			defer func() { msgs[37].(*types.MsgVerdict).VrfProof = keep }()
			for range b.N {
				if err := w.k.CheckProofs(w.Ctx, msgs); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/block")
		})
	}
}
