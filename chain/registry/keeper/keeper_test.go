package keeper_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/cosmos/cosmos-sdk/runtime"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/internal/chaintest"
	"github.com/assaynet/assay/chain/params"
	"github.com/assaynet/assay/chain/registry/keeper"
	"github.com/assaynet/assay/chain/registry/types"
	"github.com/assaynet/assay/modules/manifest"
)

// judge admits blobs that do not begin with "bad", and activations whose parameters do not.
// What a real judge looks at is tested where it is written.
type judge struct{}

var errJudge = errors.New("begins with bad")

func (judge) AdmitBlob(_ string, blob []byte) error {
	if bytes.HasPrefix(blob, []byte("bad")) {
		return errJudge
	}
	return nil
}

func (judge) AdmitActivation(a types.Activation, module, model []byte) error {
	if bytes.HasPrefix(a.Params, []byte("bad")) || len(module) == 0 || (len(a.ModelHash) > 0) != (len(model) > 0) {
		return errJudge
	}
	return nil
}

const funds = 1_000_000_000_000

type world struct {
	*chaintest.Chain
	t *testing.T
	k keeper.Keeper
}

func newWorld(t *testing.T) *world {
	t.Helper()
	params.Configure()
	chain := chaintest.New(t, map[string][]string{types.ModuleName: nil}, types.StoreKey)
	k := keeper.New(keeper.Config{
		Codec: chain.Codec, Store: runtime.NewKVStoreService(chain.Store(types.StoreKey)), Bank: chain.Bank,
		Authority: chaintest.Authority, Admitter: judge{},
	})
	w := &world{Chain: chain, t: t, k: k}
	g := types.DefaultGenesis()
	g.Params.ChunkBytes = 1 << 10
	g.Params.MaxModuleBytes = 64 << 10
	g.Params.UploadEpochs = 2
	g.Params.MaxOpenUploads = 2
	w.must(k.InitGenesis(chain.Ctx, *g))
	for i := range 2 {
		chain.Fund(t, chaintest.Address(i), funds)
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// noise is a blob that does not compress.
func noise(n int) []byte {
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// upload is the messages that store a blob.
func upload(t *testing.T, who sdk.AccAddress, kind string, blob []byte) (*types.MsgStoreBegin, []*types.MsgStoreChunk) {
	t.Helper()
	packed, err := manifest.Compress(blob)
	if err != nil {
		t.Fatal(err)
	}
	hash := manifest.HashOf(blob)
	var chunks []*types.MsgStoreChunk
	for rest := packed; len(rest) > 0; {
		n := min(len(rest), 1<<10)
		chunks = append(chunks, &types.MsgStoreChunk{Creator: who.String(), Hash: hash[:], Index: uint32(len(chunks)), Data: rest[:n]})
		rest = rest[n:]
	}
	return &types.MsgStoreBegin{
		Creator: who.String(), Kind: kind, Hash: hash[:], Size_: uint64(len(blob)),
		PackedSize: uint64(len(packed)), Chunks: uint32(len(chunks)),
	}, chunks
}

func (w *world) begin(msg *types.MsgStoreBegin) error {
	return w.Try(func(ctx sdk.Context) error { return w.k.Begin(ctx, msg) })
}

func (w *world) chunk(msg *types.MsgStoreChunk) error {
	return w.Try(func(ctx sdk.Context) error { _, err := w.k.Chunk(ctx, msg); return err })
}

// store uploads a whole blob and returns its hash.
func (w *world) store(who sdk.AccAddress, kind string, blob []byte) []byte {
	w.t.Helper()
	begin, chunks := upload(w.t, who, kind, blob)
	w.must(w.begin(begin))
	for _, c := range chunks {
		w.must(w.chunk(c))
	}
	return begin.Hash
}

func TestStore(t *testing.T) {
	w := newWorld(t)
	who, blob := chaintest.Address(0), noise(5_000)
	begin, chunks := upload(t, who, types.KindModule, blob)
	w.must(w.begin(begin))
	if paid := int64(funds) - w.Balance(who).Int64(); paid != int64(begin.PackedSize+1023)/1024*100_000_000 {
		t.Fatalf("deposit %d for %d packed bytes", paid, begin.PackedSize)
	}
	if err := w.chunk(chunks[1]); !errors.Is(err, types.ErrChunks) {
		t.Fatalf("second chunk first: %v", err)
	}
	short := *chunks[0]
	short.Data = short.Data[1:]
	if err := w.chunk(&short); !errors.Is(err, types.ErrChunks) {
		t.Fatalf("short chunk: %v", err)
	}
	stranger := *chunks[0]
	stranger.Creator = chaintest.Address(1).String()
	if err := w.chunk(&stranger); !errors.Is(err, types.ErrNotFound) {
		t.Fatalf("chunk of a stranger: %v", err)
	}
	last := len(chunks) - 1
	for _, c := range chunks[:last] {
		w.must(w.chunk(c))
	}
	broken := *chunks[last]
	broken.Data = bytes.Clone(broken.Data)
	broken.Data[len(broken.Data)-1] ^= 1
	if err := w.chunk(&broken); !errors.Is(err, types.ErrUnpack) {
		t.Fatalf("broken last chunk: %v", err)
	}
	if _, err := w.k.Blob(w.Ctx, begin.Hash); !errors.Is(err, types.ErrNotFound) {
		t.Fatalf("blob after a broken chunk: %v", err)
	}
	// A refused chunk changed nothing: the right one completes the blob.
	w.must(w.chunk(chunks[last]))
	got, err := w.k.Bytes(w.Ctx, begin.Hash)
	if err != nil || !bytes.Equal(got, blob) {
		t.Fatalf("stored bytes differ: %v", err)
	}
	if err := w.begin(begin); !errors.Is(err, types.ErrExists) {
		t.Fatalf("stored twice: %v", err)
	}
}

func TestStoreRefuses(t *testing.T) {
	w := newWorld(t)
	who := chaintest.Address(0)
	for name, c := range map[string]struct {
		change func(*types.MsgStoreBegin)
		want   error
	}{
		"hash":    {func(m *types.MsgStoreBegin) { m.Hash = m.Hash[1:] }, types.ErrHash},
		"kind":    {func(m *types.MsgStoreBegin) { m.Kind = "binary" }, types.ErrKind},
		"size":    {func(m *types.MsgStoreBegin) { m.Size_ = 64<<10 + 1 }, types.ErrSize},
		"packed":  {func(m *types.MsgStoreBegin) { m.PackedSize = 128 << 10 }, types.ErrSize},
		"chunks":  {func(m *types.MsgStoreBegin) { m.Chunks++ }, types.ErrChunks},
		"address": {func(m *types.MsgStoreBegin) { m.Creator = "x" }, types.ErrAddress},
	} {
		msg, _ := upload(t, who, types.KindModule, noise(3_000))
		c.change(msg)
		if err := w.begin(msg); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if w.Balance(who).Int64() != funds {
		t.Fatal("a refused upload was paid for")
	}
	for i := range 2 {
		msg, _ := upload(t, who, types.KindModule, noise(3_000+i))
		w.must(w.begin(msg))
	}
	msg, _ := upload(t, who, types.KindModule, noise(4_000))
	if err := w.begin(msg); !errors.Is(err, types.ErrUploads) {
		t.Fatalf("third open upload: %v", err)
	}
	begin, chunks := upload(t, chaintest.Address(1), types.KindModule, append([]byte("bad"), noise(10)...))
	w.must(w.begin(begin))
	if err := w.chunk(chunks[0]); !errors.Is(err, types.ErrNotAdmitted) {
		t.Fatalf("a blob that the judge refuses: %v", err)
	}
	poor, _ := upload(t, chaintest.Address(2), types.KindModule, noise(2_000))
	if err := w.begin(poor); err == nil {
		t.Fatal("an upload without deposit")
	}
}

// TestBomb announces a small blob and sends a large one.
func TestBomb(t *testing.T) {
	w := newWorld(t)
	who, bomb := chaintest.Address(0), make([]byte, 32<<20)
	begin, chunks := upload(t, who, types.KindModule, bomb)
	begin.Size_ = 60 << 10
	w.must(w.begin(begin))
	for i, c := range chunks {
		err := w.chunk(c)
		if i < len(chunks)-1 {
			w.must(err)
		} else if !errors.Is(err, types.ErrUnpack) {
			t.Fatalf("32 MiB in place of 60 KiB: %v", err)
		}
	}
}

func TestUploadsExpire(t *testing.T) {
	w := newWorld(t)
	who := chaintest.Address(0)
	begin, chunks := upload(t, who, types.KindModule, noise(3_000))
	w.must(w.begin(begin))
	w.must(w.chunk(chunks[0]))
	w.must(w.k.BeginEpoch(w.Ctx, 1))
	if w.Balance(who).Int64() == funds {
		t.Fatal("dropped too early")
	}
	w.must(w.k.BeginEpoch(w.Ctx, 2))
	if got := w.Balance(who).Int64(); got != funds {
		t.Fatalf("balance %d after the upload expired, want %d", got, int64(funds))
	}
	if err := w.chunk(chunks[1]); !errors.Is(err, types.ErrNotFound) {
		t.Fatalf("chunk of an expired upload: %v", err)
	}
}

func TestActivate(t *testing.T) {
	w := newWorld(t)
	who := chaintest.Address(0)
	first, second := w.store(who, types.KindModule, noise(3_000)), w.store(who, types.KindModule, noise(3_100))
	model := w.store(who, types.KindModel, noise(3_200))
	w.must(w.k.BeginEpoch(w.Ctx, 1))

	activate := func(change func(*types.MsgActivate)) error {
		msg := &types.MsgActivate{Authority: chaintest.Authority, Slot: types.SlotPow, ModuleHash: first, GasSetup: 10, GasUnit: 5}
		change(msg)
		return w.Try(func(ctx sdk.Context) error { _, err := w.k.Activate(ctx, msg); return err })
	}
	for name, c := range map[string]struct {
		change func(*types.MsgActivate)
		want   error
	}{
		"authority":      {func(m *types.MsgActivate) { m.Authority = who.String() }, types.ErrAuthority},
		"slot":           {func(m *types.MsgActivate) { m.Slot = "infer/../x" }, types.ErrSlot},
		"unknown":        {func(m *types.MsgActivate) { m.ModuleHash = make([]byte, 32) }, types.ErrNotFound},
		"model as code":  {func(m *types.MsgActivate) { m.ModuleHash = model }, types.ErrKind},
		"pow with model": {func(m *types.MsgActivate) { m.ModelHash = model }, types.ErrActivation},
		"gas":            {func(m *types.MsgActivate) { m.GasSetup = 1 << 62 }, types.ErrActivation},
		"no gas":         {func(m *types.MsgActivate) { m.GasUnit = 0 }, types.ErrActivation},
		"memory":         {func(m *types.MsgActivate) { m.TensorBytes = 1 << 60 }, types.ErrActivation},
		"judge":          {func(m *types.MsgActivate) { m.Params = []byte("bad") }, types.ErrNotAdmitted},
	} {
		if err := activate(c.change); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	w.must(activate(func(*types.MsgActivate) {}))
	w.must(activate(func(m *types.MsgActivate) { m.Slot, m.ModelHash = "infer/tiny", model }))
	if _, err := w.k.Active(w.Ctx, types.SlotPow); !errors.Is(err, types.ErrNoActivation) {
		t.Fatalf("active before the next epoch: %v", err)
	}
	in := func(epoch uint64, want []byte) {
		t.Helper()
		w.must(w.k.BeginEpoch(w.Ctx, epoch))
		a, err := w.k.Active(w.Ctx, types.SlotPow)
		if err != nil || !bytes.Equal(a.ModuleHash, want) {
			t.Fatalf("epoch %d runs %X (%v), want %X", epoch, a.ModuleHash, err, want)
		}
	}
	in(2, first)
	w.must(activate(func(m *types.MsgActivate) { m.ModuleHash = second }))
	in(3, second)
	// The second module fails; the first returns, and what failed is nothing to fall back to.
	w.must(w.k.RollBack(w.Ctx, types.SlotPow))
	in(4, first)
	w.must(w.k.RollBack(w.Ctx, types.SlotPow))
	in(5, first)

	remove := func(hash []byte) error {
		return w.Try(func(ctx sdk.Context) error {
			return w.k.Remove(ctx, &types.MsgStoreRemove{Creator: who.String(), Hash: hash})
		})
	}
	if err := remove(first); !errors.Is(err, types.ErrReferenced) {
		t.Fatalf("removing the active module: %v", err)
	}
	if err := remove(model); !errors.Is(err, types.ErrReferenced) {
		t.Fatalf("removing the active model: %v", err)
	}
	w.must(remove(second))
	if _, err := w.k.Bytes(w.Ctx, second); !errors.Is(err, types.ErrNotFound) {
		t.Fatalf("removed blob: %v", err)
	}

	g, err := w.k.ExportGenesis(w.Ctx)
	w.must(err)
	other := newWorld(t)
	w.must(other.k.InitGenesis(other.Ctx, *g))
	if got, err := other.k.Bytes(other.Ctx, first); err != nil || !bytes.Equal(got, noise(3_000)) {
		t.Fatalf("blob after an import: %v", err)
	}
	if a, err := other.k.Active(other.Ctx, "infer/tiny"); err != nil || !bytes.Equal(a.ModelHash, model) {
		t.Fatalf("activation after an import: %v", err)
	}
}
