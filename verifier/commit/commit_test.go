package commit

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
)

func digestsOf(fold uint64, n int) []Digest {
	out := make([]Digest, n)
	for i := range out {
		binary.LittleEndian.PutUint64(out[i][:], fold)
		out[i][8] = byte(i)
		out[i][9] = 0x5A
	}
	return out
}

// grown returns our tree and the library's reference tree over the same folds.
func grown(t *testing.T, fold uint64, folds int) (*Builder, *testonly.Tree) {
	t.Helper()
	b, err := NewBuilder(fold)
	if err != nil {
		t.Fatal(err)
	}
	ref := testonly.New(rfc6962.DefaultHasher)
	for i := range folds {
		ds := digestsOf(uint64(i), int(fold))
		if _, err := b.AddFold(ds); err != nil {
			t.Fatal(err)
		}
		var data []byte
		for _, d := range ds {
			data = append(data, d[:]...)
		}
		ref.AppendData(data)
	}
	return b, ref
}

// Sizes around keepLevel's 256 leaves exercise kept and recomputed nodes.
var treeSizes = []int{1, 2, 3, 4, 5, 7, 8, 9, 31, 64, 100, 255, 256, 257, 511, 512, 513, 700}

func TestBuilderAgainstReference(t *testing.T) {
	const fold = 2
	b, ref := grown(t, fold, treeSizes[len(treeSizes)-1])
	for _, n := range treeSizes {
		count := uint64(n) * fold
		root, err := b.RootAt(count)
		if err != nil || !bytes.Equal(root[:], ref.HashAt(uint64(n))) {
			t.Fatalf("root at %d folds: %v %v", n, root, err)
		}
		for _, i := range []int{0, n / 3, n / 2, n - 1} {
			want, err := ref.InclusionProof(uint64(i), uint64(n))
			if err != nil {
				t.Fatal(err)
			}
			got, err := b.InclusionProof(uint64(i), count)
			if err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
				t.Fatalf("inclusion of %d in %d: %v", i, n, err)
			}
			o := Opening{Index: uint64(i)*fold + 1, Digests: digestsOf(uint64(i), fold), Proof: got}
			unit, err := o.Verify(root, count, fold)
			if err != nil || unit != digestsOf(uint64(i), fold)[1] {
				t.Fatalf("opening of fold %d in %d: %v", i, n, err)
			}
		}
		for _, m := range treeSizes {
			if m > n {
				break
			}
			older, _ := b.RootAt(uint64(m) * fold)
			path, err := b.ConsistencyProof(uint64(m)*fold, count)
			if err != nil {
				t.Fatal(err)
			}
			want, err := ref.ConsistencyProof(uint64(m), uint64(n))
			if err != nil || !slices.EqualFunc(path, want, bytes.Equal) {
				t.Fatalf("consistency %d to %d: %v", m, n, err)
			}
			if err := VerifyConsistency(fold, uint64(m)*fold, count, older, root, path); err != nil {
				t.Fatalf("consistency %d to %d: %v", m, n, err)
			}
		}
	}
	last := Root(ref.Hash())
	if b.Root() != last {
		t.Fatal("root differs from the root at full size")
	}
}

// A claim that replaced one digest is never an extension of the honest one.
func TestConsistencyRefusesRewriting(t *testing.T) {
	const fold = 4
	rng := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		older, newer := 1+rng.IntN(40), 0
		newer = older + 1 + rng.IntN(40)
		honest, _ := grown(t, fold, older)
		forged, err := NewBuilder(fold)
		if err != nil {
			t.Fatal(err)
		}
		changed := rng.IntN(older)
		for i := range newer {
			ds := digestsOf(uint64(i), fold)
			if i == changed {
				ds[0][31] ^= 1
			}
			if _, err := forged.AddFold(ds); err != nil {
				t.Fatal(err)
			}
		}
		path, err := forged.ConsistencyProof(uint64(older*fold), uint64(newer*fold))
		if err != nil {
			t.Fatal(err)
		}
		err = VerifyConsistency(fold, uint64(older*fold), uint64(newer*fold), honest.Root(), forged.Root(), path)
		if !errors.Is(err, ErrProof) {
			t.Fatalf("rewritten fold %d of %d passed as extension to %d: %v", changed, older, newer, err)
		}
	}
}

func TestConsistencyRefusals(t *testing.T) {
	b, _ := grown(t, 4, 10)
	at := func(n uint64) Root {
		r, err := b.RootAt(n)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	good, err := b.ConsistencyProof(12, 40)
	if err != nil {
		t.Fatal(err)
	}
	long := make([][]byte, MaxConsistency+1)
	short := slices.Clone(good)
	short[0] = short[0][:31]
	for name, c := range map[string]struct {
		fold, older, newer uint64
		path               [][]byte
		class              error
	}{
		"fold zero":        {0, 12, 40, good, ErrBounds},
		"fold too large":   {MaxFold + 1, 12, 40, good, ErrBounds},
		"count zero":       {4, 0, 0, nil, ErrBounds},
		"count too large":  {4, 12, MaxCount + 4, good, ErrBounds},
		"shrinks":          {4, 40, 12, nil, ErrShape},
		"ragged new":       {4, 12, 41, good, ErrShape},
		"ragged old":       {4, 13, 40, good, ErrShape},
		"proof too long":   {4, 12, 40, long, ErrShape},
		"short hash":       {4, 12, 40, short, ErrShape},
		"missing proof":    {4, 12, 40, nil, ErrProof},
		"truncated proof":  {4, 12, 40, good[:1], ErrProof},
		"first with proof": {4, 0, 40, good, ErrProof},
		"same with proof":  {4, 40, 40, good, ErrProof},
	} {
		older := Root{}
		if c.older > 0 && c.older%4 == 0 {
			older = at(c.older)
		}
		err := VerifyConsistency(c.fold, c.older, c.newer, older, at(40), c.path)
		if !errors.Is(err, c.class) {
			t.Errorf("%s: %v, want %v", name, err, c.class)
		}
	}
	if err := VerifyConsistency(4, 0, 40, Root{}, at(40), nil); err != nil {
		t.Errorf("first claim: %v", err)
	}
	if err := VerifyConsistency(4, 12, 40, at(12), at(40), good); err != nil {
		t.Errorf("extension: %v", err)
	}
}

// Every way of bending an opening is refused with the right class.
func TestOpeningRefusals(t *testing.T) {
	const fold, count = 8, 8 * 13
	b, _ := grown(t, fold, 13)
	path, err := b.InclusionProof(5, count)
	if err != nil {
		t.Fatal(err)
	}
	fresh := func() Opening {
		o := Opening{Index: 43, Digests: digestsOf(5, fold)}
		for _, h := range path {
			o.Proof = append(o.Proof, slices.Clone(h))
		}
		return o
	}
	if d, err := fresh().Verify(b.Root(), count, fold); err != nil || d != digestsOf(5, fold)[3] {
		t.Fatalf("honest opening: %v", err)
	}
	for name, c := range map[string]struct {
		bend  func(*Opening)
		class error
	}{
		"index past count":  {func(o *Opening) { o.Index = count }, ErrShape},
		"index other fold":  {func(o *Opening) { o.Index = 2 }, ErrProof},
		"digest changed":    {func(o *Opening) { o.Digests[3][0] ^= 1 }, ErrProof},
		"neighbour changed": {func(o *Opening) { o.Digests[7][31] ^= 0x80 }, ErrProof},
		"digests swapped":   {func(o *Opening) { o.Digests[0], o.Digests[1] = o.Digests[1], o.Digests[0] }, ErrProof},
		"digest missing":    {func(o *Opening) { o.Digests = o.Digests[:7] }, ErrShape},
		"digest extra":      {func(o *Opening) { o.Digests = append(o.Digests, Digest{}) }, ErrShape},
		"proof cut":         {func(o *Opening) { o.Proof = o.Proof[1:] }, ErrProof},
		"proof extra":       {func(o *Opening) { o.Proof = append(o.Proof, make([]byte, 32)) }, ErrProof},
		"proof too long":    {func(o *Opening) { o.Proof = make([][]byte, MaxProof+1) }, ErrShape},
		"proof short hash":  {func(o *Opening) { o.Proof[0] = o.Proof[0][:5] }, ErrShape},
		"proof bit":         {func(o *Opening) { o.Proof[1][9] ^= 4 }, ErrProof},
	} {
		o := fresh()
		c.bend(&o)
		if d, err := o.Verify(b.Root(), count, fold); !errors.Is(err, c.class) || d != (Digest{}) {
			t.Errorf("%s: %v, want %v", name, err, c.class)
		}
	}
	if _, err := fresh().Verify(b.Root(), count-1, fold); !errors.Is(err, ErrShape) {
		t.Errorf("ragged count: %v", err)
	}
	if _, err := fresh().Verify(b.Root(), 0, fold); !errors.Is(err, ErrBounds) {
		t.Errorf("zero count: %v", err)
	}
	// A root over fewer units than claimed: the missing ones cannot be opened,
	// whatever leaf and path are tried for them.
	for at := range uint64(13) {
		o := Opening{Index: count, Digests: digestsOf(at, fold)}
		if o.Proof, err = b.InclusionProof(at, count); err != nil {
			t.Fatal(err)
		}
		for cut := range len(o.Proof) + 1 {
			o := Opening{Index: o.Index, Digests: o.Digests, Proof: o.Proof[cut:]}
			if _, err := o.Verify(b.Root(), count+fold, fold); !errors.Is(err, ErrProof) {
				t.Errorf("inflated count, leaf %d, cut %d: %v", at, cut, err)
			}
		}
	}
}

func TestOpeningEncoding(t *testing.T) {
	b, _ := grown(t, 64, 300)
	path, err := b.InclusionProof(299, 300*64)
	if err != nil {
		t.Fatal(err)
	}
	o := Opening{Index: 300*64 - 1, Digests: digestsOf(299, 64), Proof: path}
	enc, err := o.MarshalBinary()
	if err != nil || len(enc) > MaxOpeningBytes {
		t.Fatalf("%d bytes, %v", len(enc), err)
	}
	var back Opening
	if err := back.UnmarshalBinary(enc); err != nil {
		t.Fatal(err)
	}
	if _, err := back.Verify(b.Root(), 300*64, 64); err != nil {
		t.Fatal(err)
	}
	before, _ := back.MarshalBinary()
	for n := range enc {
		if err := back.UnmarshalBinary(enc[:n]); err == nil {
			t.Fatalf("accepted the first %d of %d bytes", n, len(enc))
		}
	}
	if err := back.UnmarshalBinary(append(slices.Clone(enc), 0)); !errors.Is(err, ErrEncoding) {
		t.Fatalf("trailing byte: %v", err)
	}
	if err := back.UnmarshalBinary(make([]byte, MaxOpeningBytes+1)); !errors.Is(err, ErrBounds) {
		t.Fatalf("oversized: %v", err)
	}
	if after, _ := back.MarshalBinary(); !bytes.Equal(before, after) {
		t.Fatal("a refused decoding changed the value")
	}
	big := Opening{Digests: make([]Digest, MaxFold), Proof: slices.Repeat([][]byte{make([]byte, 32)}, MaxProof)}
	if enc, err = big.MarshalBinary(); err != nil || len(enc) != MaxOpeningBytes {
		t.Fatalf("largest opening: %d bytes, want %d: %v", len(enc), MaxOpeningBytes, err)
	}
	for _, bad := range []Opening{{}, {Digests: make([]Digest, MaxFold+1)}, {Digests: make([]Digest, 1), Proof: make([][]byte, 1)},
		{Digests: make([]Digest, 1), Proof: make([][]byte, MaxProof+1)}} {
		if _, err := bad.MarshalBinary(); err == nil {
			t.Errorf("encoded an opening of %d digests and %d hashes", len(bad.Digests), len(bad.Proof))
		}
	}
}

func claimsOf(n int) []Claim {
	claims := make([]Claim, n)
	for i := range claims {
		addr := make([]byte, 20)
		binary.BigEndian.PutUint64(addr, uint64(i)*0x9E3779B97F4A7C15)
		claims[i] = Claim{Epoch: 7, Claimant: addr, Root: Root{byte(i)}, Count: uint64(64 * (i + 1))}
	}
	return claims
}

func TestClaimsRoot(t *testing.T) {
	for _, n := range []int{0, 1, 2, 5, 64, 101} {
		claims := claimsOf(n)
		root := ClaimsRoot(claims)
		shuffled := slices.Clone(claims)
		rand.New(rand.NewPCG(3, uint64(n))).Shuffle(n, func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if ClaimsRoot(shuffled) != root {
			t.Fatalf("root over %d claims depends on their order", n)
		}
		seen := make(map[uint64]bool)
		for i, c := range claims {
			index, path, err := ProveClaim(shuffled, c.Claimant)
			if err != nil || seen[index] {
				t.Fatalf("claim %d: index %d, %v", i, index, err)
			}
			seen[index] = true
			if err := VerifyClaim(c, index, uint64(n), path, root); err != nil {
				t.Fatal(err)
			}
			for _, bent := range []Claim{
				{c.Epoch + 1, c.Claimant, c.Root, c.Count},
				{c.Epoch, append([]byte{1}, c.Claimant...), c.Root, c.Count},
				{c.Epoch, c.Claimant, Root{0xFF}, c.Count},
				{c.Epoch, c.Claimant, c.Root, c.Count + 64},
			} {
				if err := VerifyClaim(bent, index, uint64(n), path, root); !errors.Is(err, ErrProof) {
					t.Fatalf("bent claim: %v", err)
				}
			}
			if got, err := DecodeClaim(c.Bytes()); err != nil || !bytes.Equal(got.Bytes(), c.Bytes()) {
				t.Fatalf("decode: %v", err)
			}
		}
	}
	if _, _, err := ProveClaim(claimsOf(3), []byte("stranger")); !errors.Is(err, ErrShape) {
		t.Errorf("stranger's claim: %v", err)
	}
	for _, bad := range []Claim{{Count: 64}, {Claimant: make([]byte, MaxAddress+1), Count: 64}, {Claimant: []byte{1}}, {Claimant: []byte{1}, Count: 65}} {
		if bad.Validate(64) == nil {
			t.Errorf("claim %+v passed", bad)
		}
	}
}

// Values of different kinds have different hashes and do not decode as each other.
func TestDomains(t *testing.T) {
	req, rec, vou := sampleRequest(), sampleReceipt(), sampleVoucher()
	claim := claimsOf(1)[0]
	open, err := Opening{Digests: make([]Digest, 1)}.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	kinds := [][]byte{req.Bytes(), rec.Bytes(), vou.Bytes(), claim.Bytes(), open}
	decode := []func([]byte) error{
		func(b []byte) error { _, err := DecodeRequest(b); return err },
		func(b []byte) error { _, err := DecodeReceipt(b); return err },
		func(b []byte) error { _, err := DecodeVoucher(b); return err },
		func(b []byte) error { _, err := DecodeClaim(b); return err },
		func(b []byte) error { return new(Opening).UnmarshalBinary(b) },
	}
	for i, b := range kinds {
		for j, f := range decode {
			if err := f(b); (err == nil) != (i == j) {
				t.Errorf("decoder %d on kind %d: %v", j, i, err)
			}
		}
	}
	if ReportID(1, []byte{1, 2}, 3) == ReportID(1, []byte{1}, 3) || ReportID(1, []byte{1}, 3) == ReportID(2, []byte{1}, 3) ||
		ReportID(1, []byte{1}, 3) == ReportID(1, []byte{1}, 4) {
		t.Error("reports share an ID")
	}
}

func TestKeyedRoot(t *testing.T) {
	items := []Keyed{{[]byte{2}, 1, Digest{1}}, {[]byte{1}, 9, Digest{2}}, {[]byte{1}, 3, Digest{3}}}
	root := KeyedRoot(items)
	if KeyedRoot([]Keyed{items[2], items[0], items[1]}) != root {
		t.Error("depends on the order")
	}
	items[1].Digest[5] ^= 1
	if KeyedRoot(items) == root {
		t.Error("does not depend on a digest")
	}
}

func TestBitmap(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 10_000} {
		b := NewBitmap(n)
		for i := 0; i < n; i += 3 {
			b.Set(i)
		}
		for i := range n {
			if b.Has(i) != (i%3 == 0) {
				t.Fatalf("bit %d of %d", i, n)
			}
		}
		if err := b.Check(n); err != nil {
			t.Fatal(err)
		}
		if b.Has(-1) || b.Has(len(b)*8) {
			t.Fatal("position outside the list")
		}
		if err := append(b, 0).Check(n); !errors.Is(err, ErrShape) {
			t.Fatalf("long: %v", err)
		}
		if n%8 != 0 {
			b.Set(n)
			if err := b.Check(n); !errors.Is(err, ErrEncoding) {
				t.Fatalf("bit past the end: %v", err)
			}
		}
	}
	if n := len(NewBitmap(10_000)); n > 32<<10 {
		t.Errorf("verdict over 10,000 claims takes %d bytes", n)
	}
}

// Vectors pin the bytes of docs/spec/commitments.md.
func TestVectors(t *testing.T) {
	c := Claim{Epoch: 1, Claimant: []byte{0xAA, 0xBB}, Root: Root{0xCC}, Count: 64}
	want := "0d" + hex.EncodeToString([]byte("assay/claim/1")) + "0100000000000000" + "02000000aabb" +
		"cc" + hex.EncodeToString(make([]byte, 31)) + "4000000000000000"
	if got := hex.EncodeToString(c.Bytes()); got != want {
		t.Errorf("claim bytes\n got %s\nwant %s", got, want)
	}
	if got := ClaimsRoot(nil).String(); got != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("empty root %s", got)
	}
}

func BenchmarkOpeningVerify(b *testing.B) {
	bl, _ := NewBuilder(64)
	for i := range 1024 {
		_, _ = bl.AddFold(digestsOf(uint64(i), 64))
	}
	path, _ := bl.InclusionProof(7, bl.Count())
	o := Opening{Index: 7 * 64, Digests: digestsOf(7, 64), Proof: path}
	for b.Loop() {
		if _, err := o.Verify(bl.Root(), bl.Count(), 64); err != nil {
			b.Fatal(err)
		}
	}
}
