package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"cosmossdk.io/math"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	powertypes "github.com/assaynet/assay/chain/power/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

// blocks starts the nodes, stops one, restarts it and compares states.
func (d *demo) blocks(ctx context.Context) error {
	for i := range d.net.nodes {
		if err := d.net.startNode(i); err != nil {
			return err
		}
	}
	if err := d.sameState(ctx, 3); err != nil {
		return err
	}
	d.ok("four validators agree at height 3")
	for i := range d.net.nodes {
		if i == lateNode {
			continue
		}
		if err := d.net.startWork(ctx, i); err != nil {
			return err
		}
	}
	late := d.net.nodes[lateNode]
	stopped := late.node.Height()
	if err := late.stopNode(); err != nil {
		return err
	}
	if err := d.net.nodes[0].node.WaitHeight(ctx, stopped+5); err != nil {
		return fmt.Errorf("the chain stands still without %s: %w", late.member.Moniker, err)
	}
	if err := d.net.startNode(lateNode); err != nil {
		return err
	}
	if err := d.sameState(ctx, d.net.nodes[0].node.Height()+1); err != nil {
		return err
	}
	d.ok("%s was stopped at height %d, the others went on, it caught up to the same app hash", late.member.Moniker, stopped)
	return d.net.startWork(ctx, lateNode)
}

// sameState waits until every node has committed a height and compares the
// hashes of their states.
func (d *demo) sameState(ctx context.Context, height int64) error {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	var want []byte
	for i, n := range d.net.nodes {
		if err := n.node.WaitHeight(ctx, height); err != nil {
			return fmt.Errorf("%s does not reach height %d: %w", n.member.Moniker, height, err)
		}
		meta := n.node.Comet().BlockStore().LoadBlockMeta(height)
		if meta == nil {
			return fmt.Errorf("%s has no block %d", n.member.Moniker, height)
		}
		if i == 0 {
			want = meta.Header.AppHash
		} else if !bytes.Equal(meta.Header.AppHash, want) {
			return fmt.Errorf("%s has app hash %X at height %d, node0 has %X", n.member.Moniker, meta.Header.AppHash, height, want)
		}
	}
	return nil
}

// at returns the first node's link.
func (d *demo) at() *link { return d.net.nodes[0].part.link }

// until polls the running epoch, at each new height, until cond holds.
func (d *demo) until(ctx context.Context, limit time.Duration, what string, cond func(sprinttypes.Epoch) bool) (sprinttypes.Epoch, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for h := int64(1); ; {
		now, err := d.at().WaitHeight(ctx, h)
		if err != nil {
			return sprinttypes.Epoch{}, fmt.Errorf("waited %s for %s: %w", limit, what, err)
		}
		r, err := d.at().epoch(ctx)
		if err == nil && cond(r.Epoch) {
			return r.Epoch, nil
		}
		h = now + 1
	}
}

// sprint waits for the claims of the first epoch and checks them.
func (d *demo) sprint(ctx context.Context) error {
	e, err := d.until(ctx, time.Minute, "the claims of epoch 1", func(e sprinttypes.Epoch) bool {
		return e.Number > 1 || e.Phase >= sprinttypes.PHASE_AUDIT
	})
	if err != nil {
		return err
	}
	if e.Number != 1 {
		return fmt.Errorf("epoch %d runs before epoch 1 was seen", e.Number)
	}
	claims, err := d.at().claims(ctx, 1)
	if err != nil {
		return err
	}
	if len(claims) != len(d.net.nodes) {
		return fmt.Errorf("%d claims by %d miners", len(claims), len(d.net.nodes))
	}
	for _, c := range claims {
		// Who was stopped joins late in the sprint: one commitment may be all it has time for.
		if c.Extensions < 1 && c.Miner != d.net.nodes[lateNode].member.Operator {
			return fmt.Errorf("%s never extended its claim", d.who(c.Miner))
		}
		d.ok("%s committed root %x… over %d units, extended %d×", d.who(c.Miner), c.Root[:6], c.Count, c.Extensions)
	}
	return nil
}

// who names a miner by its node.
func (d *demo) who(address string) string {
	for i, n := range d.net.nodes {
		if n.member.Operator == address {
			if i == cheatNode {
				return n.member.Moniker + " (cheat)"
			}
			return n.member.Moniker
		}
	}
	return address
}

// audit waits for the verdicts and the fate of the cheat.
func (d *demo) audit(ctx context.Context) error {
	cheat := d.net.nodes[cheatNode].member.Operator
	power := powertypes.NewQueryClient(d.at().c.Conn())
	_, err := d.until(ctx, 90*time.Second, "the cheat to be jailed", func(e sprinttypes.Epoch) bool {
		r, err := power.Miner(ctx, &powertypes.QueryMinerRequest{Operator: cheat})
		return err == nil && r.Miner.JailedUntil > 1
	})
	if err != nil {
		return err
	}
	audit := audittypes.NewQueryClient(d.at().c.Conn())
	reports, err := audit.Reports(ctx, &audittypes.QueryReportsRequest{Epoch: 1})
	if err != nil {
		return fmt.Errorf("list reports: %w", err)
	}
	proven := 0
	for _, r := range reports.Reports {
		if r.Claimant != cheat {
			return fmt.Errorf("%s was reported", d.who(r.Claimant))
		}
		if r.Status == audittypes.REPORT_PROVEN {
			proven++
			d.ok("unit %d of %s is false: reported by %s, re-executed by every node", r.Index, d.who(r.Claimant), d.who(r.Reporter))
		}
	}
	if proven < 3 {
		return fmt.Errorf("%d false units are proven, three are needed to jail", proven)
	}
	_, err = d.until(ctx, time.Minute, "the end of the audit", func(e sprinttypes.Epoch) bool {
		return e.Number > 1 || e.Phase > sprinttypes.PHASE_AUDIT
	})
	if err != nil {
		return err
	}
	verdicts, err := audit.Verdicts(ctx, &audittypes.QueryVerdictsRequest{Epoch: 1})
	if err != nil {
		return fmt.Errorf("list verdicts: %w", err)
	}
	claims, err := d.at().claims(ctx, 1)
	if err != nil {
		return err
	}
	for _, c := range claims {
		addr, err := addressBytes(c.Miner)
		if err != nil {
			return err
		}
		d.mu.Lock()
		drawn, falsy := d.drawn[1][string(addr)], d.falsy[string(addr)]
		d.mu.Unlock()
		if drawn < 200 {
			return fmt.Errorf("only %d units of %s were re-executed", drawn, d.who(c.Miner))
		}
		switch {
		case c.Miner != cheat && (falsy > 0 || c.Void()):
			return fmt.Errorf("honest %s: %d false units, claim %s", d.who(c.Miner), falsy, c.Status)
		case c.Miner == cheat && c.Status != sprinttypes.CLAIM_VOID_FALSE:
			return fmt.Errorf("the cheat's claim is %s", c.Status)
		}
		d.ok("%s: %d units re-executed on wasmdev, %d false", d.who(c.Miner), drawn, falsy)
	}
	if len(verdicts.Verdicts) < 3 {
		return fmt.Errorf("only %d verdicts are on chain", len(verdicts.Verdicts))
	}
	d.ok("%d verdicts on chain; the cheat's claim is void and it is jailed", len(verdicts.Verdicts))
	return d.forfeited(ctx, cheat)
}

// forfeited checks that a jailed miner has no reward left that would vest.
func (d *demo) forfeited(ctx context.Context, cheat string) error {
	r, err := sprinttypes.NewQueryClient(d.at().c.Conn()).Vesting(ctx, &sprinttypes.QueryVestingRequest{Owner: cheat})
	switch {
	case notFound(err):
	case err != nil:
		return fmt.Errorf("vesting rewards of the cheat: %w", err)
	case !r.Held.IsZero():
		return fmt.Errorf("the cheat still holds %s GNK of vesting rewards", gnk(r.Held))
	}
	d.ok("no reward of the cheat is left to vest; the chain goes on with three validators")
	return nil
}

// settle waits for the payment of epoch 1 and checks it to the last ngnk.
func (d *demo) settle(ctx context.Context) error {
	q := sprinttypes.NewQueryClient(d.at().c.Conn())
	var s *sprinttypes.QuerySettlementResponse
	_, err := d.until(ctx, time.Minute, "the settlement of epoch 1", func(sprinttypes.Epoch) bool {
		r, err := q.Settlement(ctx, &sprinttypes.QuerySettlementRequest{Epoch: 1})
		s = r
		return err == nil && r.Settlement.Height > 0
	})
	if err != nil {
		return err
	}
	var rows [][]string
	sum := math.ZeroInt()
	for _, l := range s.Lines {
		rows = append(rows, []string{d.who(l.Miner), fmt.Sprint(l.Units), percent(l.Share), gnk(l.Amount), outcomeName(l.Status)})
		sum = sum.Add(l.Amount)
	}
	t := s.Settlement
	rows = append(rows, []string{"auditors", "", "", gnk(t.AuditPaid), ""},
		[]string{"proposers", "", "", gnk(t.InclusionPaid), ""}, []string{"burned", "", "", gnk(t.Burned), ""},
		[]string{"reserve", "", "", gnk(t.Reserved), ""})
	d.table([]string{"miner", "units", "share", "GNK", "outcome"}, rows)
	if !sum.Equal(t.Paid) {
		return fmt.Errorf("the rows sum to %s ngnk, paid was %s", sum, t.Paid)
	}
	total := t.Paid.Add(t.AuditPaid).Add(t.InclusionPaid).Add(t.Burned).Add(t.Reserved)
	if want := t.Emission.Add(t.Released); !total.Equal(want) {
		return fmt.Errorf("paid and reserved are %s ngnk, emission is %s", total, want)
	}
	if !t.Emission.Equal(math.NewInt(310_000).MulRaw(1_000_000_000)) {
		return fmt.Errorf("the emission of epoch 1 is %s GNK, not 310000", gnk(t.Emission))
	}
	if t.Paid.IsZero() || t.ValidUnits == 0 {
		return errors.New("nobody was paid")
	}
	d.ok("sum %s GNK = emission %s GNK, difference 0 ngnk", gnk(total), gnk(t.Emission))
	return nil
}
