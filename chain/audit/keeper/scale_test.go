package keeper_test

import (
	"encoding/binary"
	"testing"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/internal/chaintest"
	sprintkeeper "github.com/assaynet/assay/chain/sprint/keeper"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

// An epoch of many miners and 100 validators. The benchmark reports the longest end of a block: a
// block that takes seconds stops the chain's pace.
func BenchmarkEpochOf10000Claims(b *testing.B) {
	const claims, validators = 10_000, 100
	powers := make([]uint64, validators)
	for i := range powers {
		powers[i] = uint64(1000 + i)
	}
	for range b.N {
		p := auditParams()
		p.CoverageBps = 6_667
		sp := sprintParams()
		sp.MaxClaims = claims
		w := newWorld(b, sp, p, powers...)
		msgs := sprintkeeper.NewMsgServer(w.sprint)
		began := time.Now()
		for i := range claims {
			a := chaintest.Address(i)
			w.roster.Register(a)
			root := make([]byte, 32)
			binary.BigEndian.PutUint64(root, uint64(i)+1)
			_, err := msgs.CommitWork(w.Ctx, &sprinttypes.MsgCommitWork{Miner: w.Bech32(a), Epoch: 1, Root: root, Count: 4 * uint64(i+1)})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(time.Since(began).Microseconds())/claims, "us/claim")
		longest := make(map[sprinttypes.Phase]time.Duration)
		for w.epoch().Phase != sprinttypes.PHASE_DONE {
			phase := w.epoch().Phase
			began := time.Now()
			w.Next(b,
				func(ctx sdk.Context) error { return w.sprint.EndBlock(ctx) },
				func(ctx sdk.Context) error { return w.k.EndBlock(ctx) })
			longest[phase] = max(longest[phase], time.Since(began))
			if w.epoch().Phase == sprinttypes.PHASE_AUDIT && phase != sprinttypes.PHASE_AUDIT && w.epoch().Round == 0 {
				ok := make([]bool, claims)
				for i := range ok {
					ok[i] = i%2 == 0
				}
				began := time.Now()
				for v := range validators {
					w.vote(v, ok...)
				}
				b.ReportMetric(float64(time.Since(began).Microseconds())/validators, "us/verdict")
			}
		}
		for phase, name := range map[sprinttypes.Phase]string{
			sprinttypes.PHASE_COMMIT: "ms/fix", sprinttypes.PHASE_AUDIT: "ms/round",
			sprinttypes.PHASE_SETTLE: "ms/page", sprinttypes.PHASE_RELEASE: "ms/release",
		} {
			b.ReportMetric(float64(longest[phase].Milliseconds()), name)
		}
	}
}
