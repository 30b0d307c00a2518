package main

import (
	"context"
	"sync"
	"testing"
	"time"
)

// TestNetwork runs a network of real nodes (CometBFT, sockets, Wasm) and on it, all at once, what
// strangers may do to it. Two epochs are enough: in the first three validators mine and the fourth
// misbehaves, in the second newcomers mine beside them.
func TestNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("a network of four nodes takes a minute and a half")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	n := startTestNet(ctx, t)
	t.Logf("miners and auditors run at height %d", n.nodes[0].node.Height())
	var parts sync.WaitGroup
	for _, part := range []struct {
		name string
		run  func(context.Context, *testing.T, *testNet)
	}{
		{"uploads", testUploads},
		{"fees and lane", testFeesAndLane},
		{"governance", testGovernance},
		{"registration", testRegistration},
		{"claims and answers", testClaims},
		{"verdicts and demands", testVerdicts},
		{"reports", testReports},
		{"evidence", testEvidence},
		{"killed node", testKilledNode},
		{"late node", testLateNode},
		{"newcomers", testNewcomers},
		{"inference", testInference},
	} {
		// They mostly wait for heights: not t.Parallel, which would let only as many run as
		// there are cores, and some would miss their phase.
		parts.Add(1)
		go func() {
			defer parts.Done()
			t.Run(part.name, func(t *testing.T) { part.run(ctx, t, n) })
		}()
	}
	parts.Wait()
	if t.Failed() {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, f := range n.failures {
			t.Log(f)
		}
	}
}
