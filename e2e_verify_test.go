package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/assaynet/assay/sdk/client/evidence"
)

// testEvidence: a claim of the running chain, with what a miner opened to the tester, is checked
// offline by the command; a file that lies anywhere is refused for the right reason.
func testEvidence(ctx context.Context, t *testing.T, n *testNet) {
	e, info, proof := n.round(ctx, t)
	d := n.draw(ctx, t, 2, e, info, proof)
	got := n.fetched(ctx, t, 2, d, proof)
	src, err := evidence.Open("tcp://" + n.nodes[0].member.Addresses.RPC)
	must(t, err)
	h, err := n.link.WaitHeight(ctx, 1) // in the audit: a claim may have come with the last block before
	must(t, err)
	_, err = n.link.WaitHeight(ctx, h+1)
	must(t, err)
	ev, err := src.Fetch(ctx, evidence.Query{Miner: n.nodes[2].member.Operator, Epoch: 1, Height: h})
	must(t, err)
	for _, o := range got {
		raw, err := o.Opening.MarshalBinary()
		must(t, err)
		must(t, ev.Add(raw))
	}
	v, err := ev.Verify(evidence.Trust{})
	must(t, err)
	other, err := evidence.Open("tcp://" + n.nodes[1].member.Addresses.RPC)
	must(t, err)
	same, err := other.Fetch(ctx, evidence.Query{Miner: n.nodes[2].member.Operator, Height: v.Height - 1})
	must(t, err)
	w, err := same.Verify(evidence.Trust{Header: v.HeaderHash})
	if err != nil || !w.Trusted || v.Trusted || len(v.Units) != len(got) || !bytes.Equal(w.Claim.Root, v.Claim.Root) {
		t.Fatalf("another node's evidence: %v; %d units", err, len(v.Units))
	}

	// The command, in a process that knows no node.
	path := filepath.Join(t.TempDir(), "evidence.json")
	must(t, writeEvidence(path, ev))
	trust := hex.EncodeToString(v.HeaderHash)
	var r verifyReport
	out, stderr, err := assay(ctx, "verify", "claim", path, "--trust", trust, "--output", "json")
	must(t, err)
	must(t, json.Unmarshal(out, &r))
	if !r.Verified || !r.Trusted || len(r.Units) != len(got) || r.Miner != n.nodes[2].member.Operator {
		t.Errorf("assay verify claim: %s%s", out, stderr)
	}
	index := strconv.FormatUint(got[0].Opening.Index, 10)
	if out, _, err = assay(ctx, "verify", "unit", path, index); err != nil || !strings.Contains(string(out), "1 of 1 true") {
		t.Errorf("assay verify unit %s: %s, %v", index, out, err)
	}
	trust = strings.Repeat("0", 64)
	if _, stderr, err = assay(ctx, "verify", "claim", path, "--trust", trust); err == nil || !strings.Contains(stderr, "not the trusted header") {
		t.Errorf("another header was trusted: %v, %s", err, stderr)
	}
	lies(t, ev)
}

// lies bends every part of the evidence.
func lies(t *testing.T, honest *evidence.Evidence) {
	raw, err := json.Marshal(honest)
	must(t, err)
	for name, c := range map[string]struct {
		bend func(e *evidence.Evidence)
		want error
	}{
		"other chain":         {func(e *evidence.Evidence) { e.ChainID += "x" }, evidence.ErrHeader},
		"torn header":         {func(e *evidence.Evidence) { e.Header = e.Header[:len(e.Header)/2] }, evidence.ErrFormat},
		"no header":           {func(e *evidence.Evidence) { e.Header = nil }, evidence.ErrHeader},
		"no validators":       {func(e *evidence.Evidence) { e.Validators = nil }, evidence.ErrFormat},
		"other claim":         {func(e *evidence.Evidence) { e.Claim.Value[len(e.Claim.Value)-1] ^= 1 }, evidence.ErrProof},
		"claim's proof":       {func(e *evidence.Evidence) { e.Claim.Proof = e.Epoch.Proof }, evidence.ErrProof},
		"other epoch":         {func(e *evidence.Evidence) { e.Epoch.Value[1] ^= 2 }, evidence.ErrProof},
		"epoch for claim":     {func(e *evidence.Evidence) { e.Claim = e.Epoch }, evidence.ErrProof},
		"another's claim":     {func(e *evidence.Evidence) { e.Miner = "assay1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5jq0gr" }, nil},
		"other module":        {func(e *evidence.Evidence) { e.Module.Chunks[0][9] ^= 1 }, evidence.ErrModule},
		"module of any size":  {func(e *evidence.Evidence) { e.Module.Size = 1 << 40 }, evidence.ErrFormat},
		"opening's digest":    {func(e *evidence.Evidence) { e.Openings[0][40] ^= 1 }, evidence.ErrOpening},
		"opening of nothing":  {func(e *evidence.Evidence) { e.Openings[0] = nil }, evidence.ErrOpening},
		"opening's other end": {func(e *evidence.Evidence) { e.Openings[0][len(e.Openings[0])-1] ^= 1 }, evidence.ErrOpening},
	} {
		e, err := evidence.Read(bytes.NewReader(raw))
		must(t, err)
		c.bend(e)
		if v, err := e.Verify(evidence.Trust{}); err == nil || (c.want != nil && !errors.Is(err, c.want)) {
			t.Errorf("%s: %v, %v; want %v", name, v, err, c.want)
		}
	}
	// Every byte of header and signatures, bent in turn.
	for i := range honest.Header {
		e, err := evidence.Read(bytes.NewReader(raw))
		must(t, err)
		e.Header[i] ^= 0x10
		if v, err := e.Verify(evidence.Trust{}); err == nil && !sameHeader(t, honest, v) {
			t.Errorf("header byte %d may change", i)
		}
	}
}

// sameHeader says whether what was bent is no part of what is signed, such as
// the address in a signature, and left the header alone.
func sameHeader(t *testing.T, honest *evidence.Evidence, v *evidence.Verified) bool {
	t.Helper()
	h, err := honest.Verify(evidence.Trust{})
	must(t, err)
	return bytes.Equal(h.HeaderHash, v.HeaderHash)
}

// assay runs the command that TestMain put into the path.
func assay(ctx context.Context, args ...string) (out []byte, stderr string, err error) {
	cmd := exec.CommandContext(ctx, "assay", args...)
	var e bytes.Buffer
	cmd.Stderr, cmd.Env = &e, os.Environ()
	out, err = cmd.Output()
	return out, e.String(), err
}
