package keeper_test

import (
	"testing"

	"github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// A node that replays blocks, or was restarted between a report and its result, has started none of
// the re-executions: it comes to the same state.
func TestReplayComesToTheSameState(t *testing.T) {
	run := func(background bool) (state string, runs int) {
		w := crossWorld(t, crossParams())
		step := w.next
		if !background {
			step = func() {
				w.Next(t, func(ctx sdk.Context) error { return w.sprint.EndBlock(ctx) },
					func(ctx sdk.Context) error { return w.k.EndBlock(ctx) })
			}
		}
		var done []computed
		for v := range 3 {
			done = append(done, w.cast(v, nil, true, true, true))
		}
		w.mustReport(1, 9, 3) // correct
		for w.round().Cross != types.CROSS_CHALLENGE {
			step()
		}
		w.mustChallenge(0, 1, 2)
		step()
		for v := range 3 {
			w.mustOpen(v, done[v])
		}
		for _, u := range w.challenged()[w.Bech32(w.miners[0].addr)][:1] {
			if err := w.reportKeyed(2, 0, u.Position); err != nil {
				t.Fatal(err)
			}
		}
		for w.epoch().Phase != sprinttypes.PHASE_DONE {
			step()
		}
		g, err := w.k.ExportGenesis(w.Ctx)
		if err != nil {
			t.Fatal(err)
		}
		return string(w.Codec.MustMarshalJSON(g)), w.hasher.runs
	}
	live, runs := run(true)
	replayed, again := run(false)
	if live != replayed || runs != 2 || again != 2 {
		t.Errorf("states equal: %v; %d re-executions live, %d in the replay", live == replayed, runs, again)
	}
}
