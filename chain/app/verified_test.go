package app

import (
	"bytes"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
)

// A signature that was found right once is right for exactly that transaction, account number and key
// on that chain, and a wrong one is wrong however often it is tried.
func TestVerifiedSignatures(t *testing.T) {
	base := verifiedKey("chain", []byte("raw"), 7, []byte("key"))
	for name, other := range map[string][32]byte{
		"chain":   verifiedKey("chaim", []byte("raw"), 7, []byte("key")),
		"raw":     verifiedKey("chain", []byte("rax"), 7, []byte("key")),
		"number":  verifiedKey("chain", []byte("raw"), 8, []byte("key")),
		"key":     verifiedKey("chain", []byte("raw"), 7, []byte("kez")),
		"borders": verifiedKey("chainr", []byte("aw"), 7, []byte("key")),
	} {
		if other == base {
			t.Errorf("another %s has the same key", name)
		}
	}
	v := new(verified)
	for i := range uint64(3 * verifiedMost) {
		v.add(verifiedKey("", nil, i, nil))
		if !v.has(verifiedKey("", nil, i, nil)) || i > 0 && !v.has(verifiedKey("", nil, i-1, nil)) {
			t.Fatalf("signature %d is forgotten at once", i)
		}
	}
	if len(v.now)+len(v.old) > 2*verifiedMost || v.has(verifiedKey("", nil, 0, nil)) {
		t.Errorf("%d signatures are remembered", len(v.now)+len(v.old))
	}

	n := newNode(t, 3, 10_000_000, nil)
	good := n.lane(1, 0)
	n.must(n.send(good))
	// The signature is the last field of a transaction: 64 bytes.
	bad := bytes.Clone(good)
	bad[len(bad)-1] ^= 1
	for range 2 {
		if n.accepts([][]byte{bad}) {
			t.Error("a proposal with a wrong signature is accepted")
		}
		r, err := n.app.FinalizeBlock(&abci.RequestFinalizeBlock{Height: n.height + 1, Txs: [][]byte{bad}, Time: n.time(), Hash: make([]byte, 32)})
		n.must(err)
		if r.TxResults[0].Codespace != "sdk" || r.TxResults[0].Code != 4 {
			t.Errorf("a wrong signature in a block: %s %d", r.TxResults[0].Codespace, r.TxResults[0].Code)
		}
	}
	// A signature that is known does not stand for a sequence that is used up.
	n.block(n.propose())
	if n.accepts([][]byte{good}) || n.send(good) == nil {
		t.Error("a transaction is taken twice")
	}
}
