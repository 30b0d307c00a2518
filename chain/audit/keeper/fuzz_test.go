package keeper_test

import (
	"bytes"
	"testing"

	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

// Whatever bytes a message carries, it is refused without a trace or it is valid: a report only
// with the claim's own opening, a verdict only with the validator's own proof.
func FuzzMessages(f *testing.F) {
	w := newWorld(f, sprintParams(), auditParams(), 10, 20)
	w.claim(5, 8, 7)
	w.to(sprinttypes.PHASE_AUDIT)
	proof := w.proof(1)
	good := w.opening(5, 7)
	f.Add(uint64(7), good, proof[:], []byte{1})
	f.Add(uint64(6), good, proof[:], []byte{2})
	f.Add(uint64(32), good[:50], proof[:95], []byte{0, 0})
	f.Add(uint64(7), []byte{}, []byte{}, []byte{})
	f.Add(^uint64(0), bytes.Repeat([]byte{0xff}, 200), bytes.Repeat([]byte{0xc0}, 96), []byte{1})
	before, err := w.k.ExportGenesis(w.Ctx)
	if err != nil {
		f.Fatal(err)
	}
	state := w.Codec.MustMarshalJSON(before)
	base := w.Ctx
	f.Fuzz(func(t *testing.T, index uint64, opening, vrf, bitmap []byte) {
		ctx, _ := base.CacheContext()
		w.Ctx, w.tb = ctx, t
		defer func() { w.Ctx, w.tb = base, f }()
		report := w.reportMsg(1, 5, 7)
		report.Index, report.Opening, report.VrfProof = index, opening, vrf
		reported := w.report(report) == nil
		if reported && (index != 7 || !bytes.Equal(opening, good)) {
			t.Fatalf("an opening of other bytes was accepted for unit %d", index)
		}
		verdict := w.verdictMsg(1, true)
		verdict.VrfProof, verdict.Bitmap = vrf, bitmap
		voted := w.verdict(verdict) == nil
		if voted && !bytes.Equal(vrf, proof[:]) {
			t.Fatal("another proof was accepted")
		}
		if reported || voted {
			return
		}
		after, err := w.k.ExportGenesis(w.Ctx)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(w.Codec.MustMarshalJSON(after), state) {
			t.Fatal("refused messages changed the state")
		}
	})
}
