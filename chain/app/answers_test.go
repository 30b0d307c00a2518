package app

import (
	"strings"
	"testing"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	powertypes "github.com/assaynet/assay/chain/power/types"
)

// A miner that has used up its fee-free transactions can still answer demands, as many as do not fail.
func TestAnswersHaveAQuotaOfTheirOwn(t *testing.T) {
	const quota = 3
	n := newNode(t, 2, -1, func(p *powertypes.Params) { p.Lane.EpochTxs = quota })
	answer := func(sequence uint64) []byte {
		return n.tx(1, sequence, &audittypes.MsgAnswer{Miner: n.addr(1).String(), Demand: 1, Openings: [][]byte{{1}}})
	}
	exhausted := func(err error) bool { return err != nil && strings.Contains(err.Error(), "3 in epoch") }
	for i := range uint64(quota) {
		n.must(n.send(n.lane(1, i)))
	}
	if err := n.send(n.lane(1, quota)); !exhausted(err) {
		t.Fatalf("a commitment above the quota: %v", err)
	}
	for i := range uint64(quota) {
		n.must(n.send(answer(quota + i)))
	}
	if err := n.send(answer(2 * quota)); !exhausted(err) {
		t.Fatalf("an answer above the quota: %v", err)
	}
}
