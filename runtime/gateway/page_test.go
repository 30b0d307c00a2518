package gateway_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cosmos/cosmos-sdk/types/bech32"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	//lint:ignore SA1019 addresses are made with it
	"golang.org/x/crypto/ripemd160"
	"lukechampine.com/blake3"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/verifier/commit"
)

// account signs as a miner's account does.
type account struct{ key *secp256k1.PrivateKey }

func newAccount(t *testing.T) account {
	t.Helper()
	key, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return account{key}
}

func (a account) PublicKey() []byte { return a.key.PubKey().SerializeCompressed() }

func (a account) Address() []byte {
	sum := sha256.Sum256(a.PublicKey())
	h := ripemd160.New()
	_, _ = h.Write(sum[:])
	return h.Sum(nil)
}

func (a account) Sign(msg []byte) ([]byte, error) {
	sum := sha256.Sum256(msg)
	return ecdsa.SignCompact(a.key, sum[:], true)[1:], nil
}

// serveSigned serves with receipts that an account signs.
func serveSigned(t *testing.T, cfg gateway.Config, a account) (*gateway.Server, *httptest.Server) {
	t.Helper()
	cfg.Signer, cfg.Network = a, network{}
	g, err := gateway.New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(g)
	t.Cleanup(func() { g.Close(); srv.Close() })
	return g, srv
}

// The library is another's: a change of it is a decision, not an accident. It is index.js of
// @noble/secp256k1 2.3.0.
func TestVendoredLibrary(t *testing.T) {
	const want = "8ba6138826758ef7d13243f18f7fbf8b26c81c6abea706e692baa83dfe3827e1"
	b, err := os.ReadFile("page/noble-secp256k1.js")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(b)); got != want {
		t.Errorf("SHA-256 of noble-secp256k1.js is %s, want %s", got, want)
	}
	if license, err := os.ReadFile("page/noble-secp256k1.LICENSE"); err != nil || !bytes.Contains(license, []byte("MIT License")) {
		t.Errorf("its licence: %.40q, %v", license, err)
	}
}

type pageToken struct {
	ID   uint32 `json:"id"`
	Text []byte `json:"text"`
}

// pageAnswer is what the page has of an answer.
type pageAnswer struct {
	Asked struct {
		Module      string  `json:"module"`
		Model       string  `json:"model"`
		Prompt      string  `json:"prompt"`
		Temperature float64 `json:"temperature"`
		MaxTokens   uint32  `json:"maxTokens"`
	} `json:"asked"`
	Tokens []pageToken       `json:"tokens"`
	Proof  map[string]string `json:"proof"`
	Miner  string            `json:"miner"`
}

type pageSignature struct {
	Sig  []byte `json:"sig"`
	Hash []byte `json:"hash"`
	Key  []byte `json:"key"`
}

type pageCases struct {
	Hashes     [][]byte        `json:"hashes"`
	Signatures []pageSignature `json:"signatures"`
	Answers    []pageAnswer    `json:"answers"`
}

type finding struct {
	OK   bool
	What string
}

type pageResults struct {
	Hashes     [][3]string
	Signatures []bool
	Answers    []struct {
		Request  []byte
		Digests  [][]byte
		Findings []finding
		Saved    string
		Address  string
	}
}

// runPage runs the page's own scripts in node.
func runPage(t *testing.T, cases pageCases) (r pageResults) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node here: the page's scripts are not run (Debian: nodejs)")
	}
	in, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs("page")
	if err != nil {
		t.Fatal(err)
	}
	// The scripts are modules by their type in a browser; node goes by a package.json, so they run as a copy.
	tmp := t.TempDir()
	if err := os.CopyFS(tmp, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tmp, "package.json"), []byte(`{"type":"module"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "testdata/check.mjs", tmp)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v: %.200s", err, out)
	}
	return r
}

func TestPageHashes(t *testing.T) {
	cases := pageCases{Hashes: [][]byte{nil, []byte("abc")}}
	// Around the ends of blocks, of BLAKE3's chunks and of its trees, and where lengths take another byte.
	for _, n := range []int{1, 55, 56, 63, 64, 65, 119, 120, 1023, 1024, 1025, 2047, 2048, 2049, 3072, 3073, 4097, 8193, 70_001} {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i*7 + n)
		}
		cases.Hashes = append(cases.Hashes, b)
	}
	got := runPage(t, cases).Hashes
	known := [][3]string{
		{"af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "9c1185a5c5e9fc54612808977ee8f548b2258d31"},
		{"6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"},
	}
	for i, b := range cases.Hashes {
		h := ripemd160.New()
		_, _ = h.Write(b)
		want := [3]string{fmt.Sprintf("%x", blake3.Sum256(b)), fmt.Sprintf("%x", sha256.Sum256(b)), fmt.Sprintf("%x", h.Sum(nil))}
		if i < len(known) && want != known[i] {
			t.Fatalf("known vector %d: %v", i, want)
		}
		if got[i] != want {
			t.Errorf("of %d bytes: %v, want %v", len(b), got[i], want)
		}
	}
}

// The page takes the signatures that the chain's accounts make, and no others.
func TestPageSignatures(t *testing.T) {
	var cases pageCases
	var want []bool
	add := func(ok bool, sig, hash, key []byte) {
		cases.Signatures = append(cases.Signatures, pageSignature{sig, hash, key})
		want = append(want, ok)
	}
	flip := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[at%len(b)] ^= 1 << (at % 8)
		return b
	}
	for i := range 24 {
		a := newAccount(t)
		msg := fmt.Appendf(nil, "message %d", i)
		sig, err := a.Sign(msg)
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.Sum256(msg)
		add(true, sig, hash[:], a.PublicKey())
		add(false, flip(sig, 3*i), hash[:], a.PublicKey())
		add(false, sig, flip(hash[:], 5*i), a.PublicKey())
		add(false, sig, hash[:], newAccount(t).PublicKey())
		var s secp256k1.ModNScalar
		s.SetByteSlice(sig[32:])
		high := s.Negate().Bytes()
		add(false, append(bytes.Clone(sig[:32]), high[:]...), hash[:], a.PublicKey())
	}
	add(false, make([]byte, 64), make([]byte, 32), newAccount(t).PublicKey())
	add(false, nil, make([]byte, 32), newAccount(t).PublicKey())
	add(false, cases.Signatures[0].Sig, cases.Signatures[0].Hash, make([]byte, 33))
	for i, got := range runPage(t, cases).Signatures {
		if got != want[i] {
			t.Errorf("signature %d: %t", i, got)
		}
	}
}

// answered asks a real gateway as the page does.
func answered(t *testing.T, srv *httptest.Server, offer gateway.Offer, a account) pageAnswer {
	t.Helper()
	var p pageAnswer
	p.Asked.Module, p.Asked.Model = hex.EncodeToString(offer.Module[:]), hex.EncodeToString(offer.Model[:])
	p.Asked.Prompt, p.Asked.Temperature, p.Asked.MaxTokens = "Thé rays ", 0.7, 40
	p.Miner = hex.EncodeToString(a.Address())
	body, err := json.Marshal(map[string]any{"model": offer.Name, "prompt": p.Asked.Prompt, "max_tokens": 40, "temperature": 0.7, "stream": true})
	if err != nil {
		t.Fatal(err)
	}
	done, _ := events(t, srv.URL, string(body), "", func(e event) bool {
		if e.Assay.Receipt != "" {
			p.Proof = map[string]string{"request": e.Assay.Request, "receipt": e.Assay.Receipt, "signature": e.Assay.Signature, "public_key": e.Assay.PublicKey}
		} else if e.ID != "" {
			p.Tokens = append(p.Tokens, pageToken{e.Assay.Token, e.Assay.Text})
		}
		return true
	})
	if !done || p.Proof == nil || len(p.Tokens) != 40 {
		t.Fatalf("%d tokens, %v", len(p.Tokens), p.Proof)
	}
	return p
}

// What the page finds of an honest answer, and of one in which anything was changed.
func TestPageChecksAnAnswer(t *testing.T) {
	miner := newAccount(t)
	cfg := gateway.Config{Engine: realEngine(t)}
	_, srv := serveSigned(t, cfg, miner)
	honest := answered(t, srv, cfg.Engine.Offers()[0], miner)
	raw, err := base64.StdEncoding.DecodeString(honest.Proof["receipt"])
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.StdEncoding.EncodeToString
	resigned := func(p *pageAnswer, signer account, change func(*commit.Receipt)) {
		rc, err := commit.DecodeReceipt(raw)
		if err != nil {
			t.Fatal(err)
		}
		change(&rc)
		sig, err := signer.Sign(rc.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		p.Proof["receipt"], p.Proof["signature"], p.Proof["public_key"] = b64(rc.Bytes()), b64(sig), b64(signer.PublicKey())
	}
	flip := func(p *pageAnswer, what string, at int) {
		b, err := base64.StdEncoding.DecodeString(p.Proof[what])
		if err != nil {
			t.Fatal(err)
		}
		b[(at+len(b))%len(b)] ^= 1
		p.Proof[what] = b64(b)
	}
	stranger := newAccount(t)
	cases := []struct {
		name string
		lie  func(*pageAnswer)
		says string // of the finding that is not ok
	}{
		{"honest", func(*pageAnswer) {}, ""},
		{"a letter", func(p *pageAnswer) { p.Tokens[7].Text[0] ^= 1 }, "not that of the text"},
		{"a token", func(p *pageAnswer) { p.Tokens[7].ID++ }, "not that of the text"},
		{"two letters that changed places", func(p *pageAnswer) { p.Tokens[3], p.Tokens[4] = p.Tokens[4], p.Tokens[3] }, "not that of the text"},
		{"a token less", func(p *pageAnswer) { p.Tokens = p.Tokens[:39] }, "40 tokens, and 39 came"},
		{"another prompt", func(p *pageAnswer) { p.Asked.Prompt += "x" }, "another request than yours"},
		{"another temperature", func(p *pageAnswer) { p.Asked.Temperature = 0.6 }, "another request than yours"},
		{"a byte of the signature", func(p *pageAnswer) { flip(p, "signature", 40) }, "signature is not right"},
		{"half a signature", func(p *pageAnswer) { p.Proof["signature"] = p.Proof["signature"][:40] }, "signature is not right"},
		{"a byte of the key", func(p *pageAnswer) { flip(p, "public_key", 20) }, "signature is not right"},
		{"the last byte of the receipt", func(p *pageAnswer) { flip(p, "receipt", -1) }, "signature is not right"},
		{"half a receipt", func(p *pageAnswer) { p.Proof["receipt"] = p.Proof["receipt"][:200] }, "is none: cut short"},
		{"a receipt with more", func(p *pageAnswer) { p.Proof["receipt"] = b64(append(bytes.Clone(raw), 0)) }, "is none: bytes left over"},
		{"no receipt", func(p *pageAnswer) { p.Proof["receipt"] = "?" }, "is none"},
		{"another's key", func(p *pageAnswer) { resigned(p, stranger, func(*commit.Receipt) {}) }, "key is not that of miner"},
		{"another miner", func(p *pageAnswer) {
			resigned(p, stranger, func(rc *commit.Receipt) { rc.Miner = stranger.Address() })
		}, "this page's miner is"},
		{"another digest", func(p *pageAnswer) { resigned(p, miner, func(rc *commit.Receipt) { rc.Output[31] ^= 1 }) }, "not that of the text"},
		{"another module", func(p *pageAnswer) { resigned(p, miner, func(rc *commit.Receipt) { rc.Module[0] ^= 1 }) }, "another request than yours"},
		{"another model", func(p *pageAnswer) { resigned(p, miner, func(rc *commit.Receipt) { rc.Model[31] ^= 1 }) }, "another request than yours"},
		{"a price", func(p *pageAnswer) { resigned(p, miner, func(rc *commit.Receipt) { rc.Channel, rc.Price = 3, 5 }) }, "5 ngnk from channel 3"},
	}
	var run pageCases
	for _, c := range cases {
		p := honest
		p.Proof, p.Tokens = maps.Clone(honest.Proof), slices.Clone(honest.Tokens)
		for i := range p.Tokens {
			p.Tokens[i].Text = bytes.Clone(p.Tokens[i].Text)
		}
		c.lie(&p)
		run.Answers = append(run.Answers, p)
	}
	got := runPage(t, run)
	for i, c := range cases {
		var bad []string
		for _, f := range got.Answers[i].Findings {
			if !f.OK {
				bad = append(bad, f.What)
			}
		}
		said := strings.Join(bad, "; ")
		if c.says == "" && (len(bad) > 0 || len(got.Answers[i].Findings) != 6) || !strings.Contains(said, c.says) || c.says != "" && len(bad) == 0 {
			t.Errorf("%s: %q, want %q", c.name, said, c.says)
		}
	}
	// A run that was stopped has a receipt, and who reads it should know.
	stopped := honest
	stopped.Proof = maps.Clone(honest.Proof)
	resigned(&stopped, miner, func(rc *commit.Receipt) { rc.Trap = uint8(abi.TrapOutOfGas) })
	for i, f := range runPage(t, pageCases{Answers: []pageAnswer{stopped}}).Answers[0].Findings {
		if !f.OK || strings.Contains(f.What, "trap 2") != (i == 2) {
			t.Errorf("stopped: finding %d is %+v", i, f)
		}
	}
	if b64(got.Answers[0].Request) != honest.Proof["request"] {
		t.Error("the page's request is not the one that was run")
	}
	if want, err := bech32.ConvertAndEncode("assay", miner.Address()); err != nil || got.Answers[0].Address != want {
		t.Errorf("the miner is shown as %s, want %s, %v", got.Answers[0].Address, want, err)
	}
	var file struct {
		Text      string
		Tokens    []uint32
		Texts     [][]byte
		Request   []byte
		Receipt   []byte
		Signature []byte
	}
	if err := json.Unmarshal([]byte(got.Answers[0].Saved), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Tokens) != 40 || file.Text != string(bytes.Join(file.Texts, nil)) || !bytes.Equal(file.Receipt, raw) || len(file.Signature) != 64 {
		t.Errorf("saved %+v", file)
	}
}
