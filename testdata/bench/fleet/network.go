package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/openings"
	"github.com/assaynet/assay/verifier/recheck"
	"github.com/assaynet/assay/verifier/sample"
)

// network is every miner, behind one listener: a path prefix each.
type network struct {
	work   recheck.Work
	size   size
	miners []*miner // sorted by address
	server *http.Server
	base   string

	mu    sync.Mutex
	round sample.Round // that is under audit
}

// miner is one claim with all that opens it. It is the openings.Source of its
// handler.
type miner struct {
	n       *network
	claim   commit.Claim
	tree    *commit.Builder
	digests []commit.Digest
}

func address(i int) []byte {
	a := make([]byte, 20)
	binary.BigEndian.PutUint32(a, uint32(i)+1)
	return a
}

// mine computes the claims of the first miners, for real, and serves them.
func mine(ctx context.Context, c *recheck.Checker, w recheck.Work, s size) (*network, error) {
	defer c.Close()
	n := &network{work: w, size: s}
	indexes := make([]uint64, s.units)
	for i := range indexes {
		indexes[i] = uint64(i)
	}
	mux := http.NewServeMux()
	for i := range s.claims {
		w.Identity = address(i)
		units, err := c.Units(ctx, w, indexes, nil)
		if err != nil {
			return nil, fmt.Errorf("miner %d: %w", i, err)
		}
		m := &miner{n: n, digests: recheck.Digests(units)}
		if m.tree, err = commit.NewBuilder(fold); err != nil {
			return nil, err
		}
		for f := range slices.Chunk(m.digests, fold) {
			if _, err := m.tree.AddFold(f); err != nil {
				return nil, err
			}
		}
		m.claim = commit.Claim{Claimant: w.Identity, Root: m.tree.Root(), Count: s.units}
		n.miners = append(n.miners, m)
		prefix := fmt.Sprintf("/%d", i)
		mux.Handle(prefix+openings.Path, http.StripPrefix(prefix, openings.NewHandler(openings.HandlerConfig{Source: m})))
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n.base = "http://" + ln.Addr().String()
	n.server = &http.Server{Handler: mux}
	go func() { _ = n.server.Serve(ln) }() // ends with close
	return n, nil
}

func (n *network) close() { _ = n.server.Close() }

func (n *network) claims() []commit.Claim {
	out := make([]commit.Claim, len(n.miners))
	for i, m := range n.miners {
		out[i] = m.claim
	}
	return out
}

// Audit implements openings.Source.
func (m *miner) Audit(context.Context, uint64, uint64) (openings.Audit, error) {
	m.n.mu.Lock()
	defer m.n.mu.Unlock()
	return openings.Audit{Round: m.n.round, Claim: m.claim, Units: m.n.size.drawn}, nil
}

// Open implements openings.Source.
func (m *miner) Open(_ context.Context, _ commit.Claim, indexes []uint64) ([]commit.Opening, error) {
	out := make([]commit.Opening, len(indexes))
	for i, x := range indexes {
		path, err := m.tree.InclusionProof(x/fold, m.n.size.units)
		if err != nil {
			return nil, err
		}
		out[i] = commit.Opening{Index: x, Digests: m.digests[x/fold*fold : x/fold*fold+fold], Proof: path}
	}
	return out, nil
}
