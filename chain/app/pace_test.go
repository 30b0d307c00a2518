package app

import (
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
)

// BenchmarkBlock is what a block of transactions of one kind costs a node, by the part of its life: the
// first check, the proposal, its check, the block and its commit; and how that compares with the gas
// that is charged. A commitment finds no work here, which is at the end of what it costs.
//
//	go test -run '^$' -bench Block ./chain/app
func BenchmarkBlock(b *testing.B) {
	const txs = 500
	for name, raw := range map[string]func(n *node, i int) []byte{
		"commitment": func(n *node, i int) []byte { return n.lane(i, 0) },
		"payment":    func(n *node, i int) []byte { return n.payment(i, 0) },
	} {
		b.Run(name, func(b *testing.B) {
			var check, propose, process, run, commit time.Duration
			var gas int64
			for range b.N {
				n := newNode(b, txs, 1_000_000_000, nil)
				var raws [][]byte
				for i := range txs {
					raws = append(raws, raw(n, i))
				}
				since := time.Now()
				lap := func(d *time.Duration) { now := time.Now(); *d += now.Sub(since); since = now }
				for _, tx := range raws {
					n.must(n.send(tx))
				}
				lap(&check)
				r, err := n.app.PrepareProposal(&abci.RequestPrepareProposal{Height: n.height + 1, MaxTxBytes: 4 << 20, Txs: raws, Time: n.time()})
				n.must(err)
				if len(r.Txs) != txs {
					b.Fatalf("a proposal of %d of %d", len(r.Txs), txs)
				}
				lap(&propose)
				if !n.accepts(r.Txs) {
					b.Fatal("the proposal is rejected")
				}
				lap(&process)
				n.height++
				res, err := n.app.FinalizeBlock(&abci.RequestFinalizeBlock{Height: n.height, Txs: r.Txs, Time: n.time(), Hash: make([]byte, 32)})
				n.must(err)
				lap(&run)
				_, err = n.app.Commit()
				n.must(err)
				lap(&commit)
				for _, t := range res.TxResults {
					gas += t.GasUsed
				}
			}
			per := float64(b.N * txs)
			us := func(d time.Duration) float64 { return float64(d.Microseconds()) / per }
			b.ReportMetric(us(check), "check-µs")
			b.ReportMetric(us(propose), "propose-µs")
			b.ReportMetric(us(process), "process-µs")
			b.ReportMetric(us(run), "run-µs")
			b.ReportMetric(us(commit), "commit-µs")
			b.ReportMetric(float64(gas)/per, "gas/tx")
			b.ReportMetric(us(check+propose+process+run+commit)/(float64(gas)/per)*1e3, "ns/gas")
			b.ReportMetric(0, "ns/op")
		})
	}
}
