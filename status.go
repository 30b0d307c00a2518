package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"cosmossdk.io/math"

	powertypes "github.com/assaynet/assay/chain/power/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/modules/catalog"
)

// nodeView is what a gateway shows of its node. It is safe for concurrent use.
type nodeView struct {
	l      *link
	device string
	epoch  atomic.Uint64
}

func newNodeView(l *link, device string) *nodeView { return &nodeView{l: l, device: device} }

// follow keeps the epoch number current.
func (v *nodeView) follow(ctx context.Context) error {
	for h := int64(1); ; {
		now, err := v.l.c.WaitHeight(ctx, h)
		if err != nil {
			return err
		}
		if r, err := v.l.epoch(ctx); err == nil {
			v.epoch.Store(r.Epoch.Number)
		}
		h = now + 1
	}
}

func (v *nodeView) ChainID() string { return v.l.c.ChainID() }
func (v *nodeView) Epoch() uint64   { return v.epoch.Load() }

// nodeStatus is the JSON of GET /assay/v1/status.
type nodeStatus struct {
	ChainID    string            `json:"chain_id"`
	Height     int64             `json:"height"`
	Epoch      uint64            `json:"epoch"`
	EpochStart int64             `json:"epoch_start"`
	EpochEnd   int64             `json:"epoch_end"`
	Phase      string            `json:"phase"`
	Module     string            `json:"module"` // SHA-256, first 8 hex digits
	Device     string            `json:"device"`
	Miners     []minerStatus     `json:"miners"`
	Settlement *settlementStatus `json:"settlement,omitempty"`
}

type minerStatus struct {
	Address string `json:"address"`
	Units   uint64 `json:"units"` // committed in this epoch
	Share   string `json:"share"` // mean share of the last epochs
	Power   uint64 `json:"power"` // consensus power
	State   string `json:"state"`
}

type settlementStatus struct {
	Epoch   uint64             `json:"epoch"`
	Reserve string             `json:"reserve"` // GNK
	Rows    []settlementRecord `json:"rows"`
}

type settlementRecord struct {
	Address string `json:"address"`
	Units   uint64 `json:"units"`
	Amount  string `json:"amount"` // GNK
	Outcome string `json:"outcome"`
}

// Status asks the node for everything the page shows.
func (v *nodeView) Status(ctx context.Context) (any, error) {
	r, err := v.l.epoch(ctx)
	if err != nil {
		return nil, err
	}
	e := r.Epoch
	s := &nodeStatus{ChainID: v.ChainID(), Height: r.Height, Epoch: e.Number, EpochStart: e.StartHeight,
		EpochEnd: e.NextStart, Phase: phaseName(e.Phase), Module: moduleName(e.Work.ModuleHash), Device: v.device}
	if s.Miners, err = v.miners(ctx, e); err != nil {
		return nil, err
	}
	q := sprinttypes.NewQueryClient(v.l.c.Conn())
	if st, err := q.Settlement(ctx, &sprinttypes.QuerySettlementRequest{}); err == nil && st.Settlement.Height > 0 {
		s.Settlement = &settlementStatus{Epoch: st.Settlement.Epoch, Reserve: gnk(st.Settlement.Reserved)}
		for _, l := range st.Lines {
			s.Settlement.Rows = append(s.Settlement.Rows, settlementRecord{l.Miner, l.Units, gnk(l.Amount), outcomeName(l.Status)})
		}
	}
	return s, nil
}

func (v *nodeView) miners(ctx context.Context, e sprinttypes.Epoch) ([]minerStatus, error) {
	q := powertypes.NewQueryClient(v.l.c.Conn())
	list, err := q.Miners(ctx, &powertypes.QueryMinersRequest{Pagination: &pageRequest{Limit: 100}})
	if err != nil {
		return nil, fmt.Errorf("list miners: %w", err)
	}
	units := map[string]uint64{}
	claims, err := v.l.claims(ctx, e.Number)
	if err != nil {
		return nil, err
	}
	for _, c := range claims {
		units[c.Miner] = c.Count
	}
	var out []minerStatus
	for _, m := range list.Miners {
		one, err := q.Miner(ctx, &powertypes.QueryMinerRequest{Operator: m.Operator})
		if err != nil {
			return nil, fmt.Errorf("miner %s: %w", m.Operator, err)
		}
		state := "active"
		switch {
		case m.Tombstoned:
			state = "tombstoned"
		case m.JailedUntil > e.Number:
			state = "jailed"
		}
		out = append(out, minerStatus{m.Operator, units[m.Operator], percent(one.Weight), one.Power, state})
	}
	return out, nil
}

// percent shows parts of 10^12.
func percent(weight uint64) string {
	return fmt.Sprintf("%d.%02d %%", weight/1e10, weight/1e8%100)
}

// gnk shows an amount of ngnk in GNK with all nine digits.
func gnk(amount math.Int) string {
	if amount.IsNil() {
		return "0"
	}
	one := math.NewInt(1_000_000_000) // 10^params.DisplayExponent
	return fmt.Sprintf("%s.%09d", amount.Quo(one), amount.Abs().Mod(one).Int64())
}

func phaseName(p sprinttypes.Phase) string {
	switch p {
	case sprinttypes.PHASE_COMPUTE:
		return "compute"
	case sprinttypes.PHASE_COMMIT:
		return "commit"
	case sprinttypes.PHASE_AUDIT:
		return "audit"
	case sprinttypes.PHASE_ADJUDICATE:
		return "adjudicate"
	case sprinttypes.PHASE_SETTLE, sprinttypes.PHASE_RELEASE:
		return "settle"
	case sprinttypes.PHASE_DONE:
		return "done"
	}
	return "–"
}

func outcomeName(s sprinttypes.ClaimStatus) string {
	switch s {
	case sprinttypes.CLAIM_PAID:
		return "paid"
	case sprinttypes.CLAIM_OPEN:
		return "open"
	case sprinttypes.CLAIM_VOID_FALSE:
		return "void: false unit"
	case sprinttypes.CLAIM_VOID_UNANSWERED:
		return "void: demand unanswered"
	}
	return "void"
}

// shippedNames maps the hashes of the shipped modules to their names.
var shippedNames = sync.OnceValue(func() map[string]string {
	names := map[string]string{}
	for _, name := range catalog.Names() {
		if e, err := catalog.Get(name); err == nil {
			names[string(e.Manifest.Hash[:])] = name
		}
	}
	return names
})

// moduleName names a shipped module, or gives the start of another one's hash.
func moduleName(hash []byte) string {
	if name, ok := shippedNames()[string(hash)]; ok {
		return name
	}
	if len(hash) < 4 {
		return "none"
	}
	return fmt.Sprintf("%x…", hash[:4])
}
