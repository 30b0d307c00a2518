package adversary

import (
	"context"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// maxReports is how many units of one claim a validator reports in a round, as the auditor does.
const maxReports = 3

// inspection is one round of the audit as one validator does it, in the auditor's order: fetch,
// re-execute, report; demand at half time; the verdict once everything is judged or it is due.
type inspection struct {
	number  uint32
	end     int64 // first height after the round
	half    int64
	proof   sample.Proof
	output  sample.Output
	key     [32]byte
	claims  int
	tasks   []*task
	voted   bool
	fetched bool

	tree      *commit.KeyedTree // what the verdict's keyed root stands for; nil if it stands for nothing
	cross     audittypes.CrossStage
	challenge sample.Proof
}

// task is one claim and what the validator drew of it.
type task struct {
	claimant *Player
	position int
	claim    sprinttypes.Claim
	drawn    []uint64
	missing  []uint64 // not judged yet
	keyed    []commit.Keyed
	falses   []falseUnit
	reported int
	demanded []uint64
}

type falseUnit struct {
	index   uint64
	opening []byte // empty: opened on chain
}

func (t *task) ok() bool { return len(t.missing) == 0 && len(t.falses) == 0 && len(t.drawn) > 0 }

// inspect is one block of the player's audit.
func (p *Player) inspect(e sprinttypes.Epoch) error {
	w := p.World
	if p.round == nil || p.round.number != e.Round {
		p.round = nil
		if e.Phase != sprinttypes.PHASE_AUDIT {
			return nil
		}
		var err error
		if p.round, err = p.beginRound(e); err != nil || p.round == nil {
			return err
		}
	}
	r := p.round
	if !r.fetched {
		r.fetched = true
		for _, t := range r.tasks {
			if err := p.fetch(e, t); err != nil {
				return err
			}
		}
	}
	settled := true
	for _, t := range r.tasks {
		if err := p.readAnswers(e, t); err != nil {
			return err
		}
		if !p.Strategy.Accuses(p, t.claimant) {
			continue
		}
		p.report(e, t)
		if len(t.missing) > 0 && w.ctx.BlockHeight() >= r.half && e.Phase == sprinttypes.PHASE_AUDIT {
			if err := p.demand(e, t); err != nil {
				return err
			}
		}
		settled = settled && len(t.missing) == 0
	}
	if due := r.end - 3; !r.voted && e.Phase == sprinttypes.PHASE_AUDIT && (settled || w.ctx.BlockHeight() >= due) {
		var err error
		if r.voted, err = p.vote(e); err != nil {
			return err
		}
	}
	if e.Phase == sprinttypes.PHASE_ADJUDICATE {
		return p.crossCheck(e)
	}
	return nil
}

// beginRound draws, from queries alone; nil without a seat.
func (p *Player) beginRound(e sprinttypes.Epoch) (*inspection, error) {
	w := p.World
	q, err := w.auditQuery.Round(w.ctx, &audittypes.QueryRoundRequest{})
	if err != nil || q.Round.Epoch != e.Number {
		return nil, err
	}
	round := sample.Round{ChainID: chainID, Epoch: e.Number, Number: uint64(e.Round), ClaimsRoot: commit.Root(e.ClaimsRoot)}
	seated := false
	for _, s := range q.Round.Seats {
		round.Seats = append(round.Seats, sample.Seat{Validator: w.playerNamed(s.Validator).addr, Power: s.Power})
		seated = seated || s.Validator == p.name
	}
	if !seated {
		return nil, nil
	}
	height := w.ctx.BlockHeight()
	r := &inspection{number: e.Round, end: e.AuditEnd, half: height + (e.AuditEnd-height)/2, claims: int(e.Claims)}
	r.proof = p.secret.Prove(round.Input())
	r.output = r.proof.Output()
	r.key = sample.AuditKey(r.output)
	list, err := w.sprintQuery.Claims(w.ctx, &sprinttypes.QueryClaimsRequest{})
	if err != nil {
		return nil, err
	}
	for i, c := range list.Claims {
		claimant := w.playerNamed(c.Miner)
		drawn := round.Draw(p.addr, claimant.addr, c.Count, e.DrawOf(c)).Indexes(r.output)
		if len(drawn) > 0 {
			r.tasks = append(r.tasks, &task{claimant: claimant, position: i, claim: c, drawn: drawn, missing: drawn})
		}
	}
	return r, nil
}

// fetch asks the miner for openings, verifies them and re-executes the units.
func (p *Player) fetch(e sprinttypes.Epoch, t *task) error {
	if !p.Strategy.Audits(p, t.claimant) {
		t.missing = nil
		return nil
	}
	var (
		indexes  []uint64
		digests  []commit.Digest
		openings [][]byte
	)
	for _, index := range t.missing {
		if t.claimant.claim == nil || !t.claimant.Strategy.Serve(t.claimant, p, index) {
			continue
		}
		bz, can, err := t.claimant.claim.open(index, t.claim.Count)
		if err != nil {
			return err
		}
		if !can {
			continue
		}
		var o commit.Opening
		if err := o.UnmarshalBinary(bz); err != nil {
			return err
		}
		digest, err := o.Verify(commit.Root(t.claim.Root), t.claim.Count, fold)
		if err != nil || o.Index != index {
			continue // not an opening of this claim: still missing
		}
		indexes, digests, openings = append(indexes, index), append(digests, digest), append(openings, bz)
	}
	return p.judge(e, t, indexes, digests, openings)
}

// judge re-executes units and keeps what is false.
func (p *Player) judge(e sprinttypes.Epoch, t *task, indexes []uint64, digests []commit.Digest, openings [][]byte) error {
	if len(indexes) == 0 {
		return nil
	}
	units, err := p.World.engine.units(e.Seed, t.claimant.addr, indexes, &p.round.key)
	if err != nil {
		return err
	}
	p.audited += float64(len(indexes))
	for i, u := range units {
		t.keyed = append(t.keyed, commit.Keyed{Claimant: t.claimant.addr, Index: u.Index, Digest: u.Keyed})
		if u.Digest != digests[i] {
			t.falses = append(t.falses, falseUnit{u.Index, openings[i]})
		}
	}
	t.missing = slices.DeleteFunc(slices.Clone(t.missing), func(x uint64) bool { return slices.Contains(indexes, x) })
	return nil
}

// report accuses false units, a few of each claim.
func (p *Player) report(e sprinttypes.Epoch, t *task) {
	for t.reported < min(len(t.falses), maxReports) {
		f := t.falses[t.reported]
		t.reported++
		msg := &audittypes.MsgReport{Reporter: p.name, Epoch: e.Number, Claimant: t.claimant.name, Index: f.index, Opening: f.opening}
		if !p.round.voted {
			msg.VrfProof = p.round.proof[:]
		}
		p.sendReport(t, msg)
	}
}

func (p *Player) sendReport(t *task, msg *audittypes.MsgReport) {
	p.World.send(&Message{Kind: KindReport, Sender: p, Target: t.claimant, report: msg, run: func(ctx context.Context) error {
		_, err := p.World.auditMsgs.Report(ctx, msg)
		return err
	}})
}

// demand asks on chain for what was not served, as much as one demand takes.
func (p *Player) demand(e sprinttypes.Epoch, t *task) error {
	for _, x := range t.demanded {
		if slices.Contains(t.missing, x) {
			return nil // the last one is open, or nobody answered it
		}
	}
	params, err := p.World.auditQuery.Params(p.World.ctx, &audittypes.QueryParamsRequest{})
	if err != nil {
		return err
	}
	t.demanded = t.missing[:min(len(t.missing), int(params.Params.MaxDemand))]
	p.sendDemand(e, t.claimant, t.demanded)
	return nil
}

func (p *Player) sendDemand(e sprinttypes.Epoch, claimant *Player, indexes []uint64) {
	msg := &audittypes.MsgDemand{Validator: p.name, Epoch: e.Number, Claimant: claimant.name, Indexes: indexes, VrfProof: p.round.proof[:]}
	p.World.send(&Message{Kind: KindDemand, Sender: p, Target: claimant, run: func(ctx context.Context) error {
		_, err := p.World.auditMsgs.Demand(ctx, msg)
		return err
	}})
}

// readAnswers judges what was opened on chain of the units that were demanded.
func (p *Player) readAnswers(e sprinttypes.Epoch, t *task) error {
	if len(t.demanded) == 0 || len(t.missing) == 0 {
		return nil
	}
	list, err := p.World.auditQuery.Answers(p.World.ctx, &audittypes.QueryAnswersRequest{Claimant: t.claimant.name})
	if err != nil {
		return err
	}
	var indexes []uint64
	var digests []commit.Digest
	for _, a := range list.Answers {
		if slices.Contains(t.missing, a.Index) {
			indexes, digests = append(indexes, a.Index), append(digests, commit.Digest(a.Digest))
		}
	}
	return p.judge(e, t, indexes, digests, make([][]byte, len(indexes)))
}

// witness sets the bits of the late claims that were sent while the last block before the deadline could
// still take them: everybody sees every message at once here.
func (p *Player) witness(e sprinttypes.Epoch, b *Ballot) error {
	w := p.World
	var seen []bool
	err := w.sprint.WalkClaims(w.ctx, e.Number, func(miner sdk.AccAddress, c sprinttypes.Claim) (bool, error) {
		if c.Late == 0 {
			return false, nil
		}
		claimant := w.playerOf(miner)
		b.Late = append(b.Late, claimant)
		seen = append(seen, slices.ContainsFunc(w.commits, func(m *Message) bool {
			return m.Sender == claimant && m.count == c.Count && e.InTime(m.sent-1)
		}))
		return false, nil
	})
	b.Seen = commit.NewBitmap(len(seen))
	for i, in := range seen {
		if in {
			b.Seen.Set(i)
		}
	}
	return err
}

// vote sends the verdict, unless the strategy wants to wait, or none at all.
func (p *Player) vote(e sprinttypes.Epoch) (bool, error) {
	r := p.round
	b := &Ballot{Round: r.number, Claims: r.claims, Bitmap: commit.NewBitmap(r.claims)}
	for _, t := range r.tasks {
		if t.ok() {
			b.Bitmap.Set(t.position)
			b.Keyed = append(b.Keyed, t.keyed...)
		}
	}
	if r.number == 0 {
		if err := p.witness(e, b); err != nil {
			return false, err
		}
	}
	if !p.Strategy.Verdict(p, b) {
		return false, nil
	}
	r.tree = commit.NewKeyedTree(b.Keyed)
	root := r.tree.Root()
	if b.Root != nil {
		r.tree, root = nil, *b.Root
	}
	msg := &audittypes.MsgVerdict{Validator: p.name, Epoch: e.Number, Round: r.number, VrfProof: r.proof[:],
		Bitmap: b.Bitmap, KeyedRoot: root[:], Seen: b.Seen}
	p.World.send(&Message{Kind: KindVerdict, Sender: p, proof: msg, run: func(ctx context.Context) error {
		_, err := p.World.auditMsgs.Verdict(ctx, msg)
		return err
	}})
	return true, nil
}
