package manifest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
)

func sampleModel() *ModelFile {
	seq := func(n int) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(i*7 + 1)
		}
		return p
	}
	return &ModelFile{
		Config: json.RawMessage(`{"layers":1,"width":3}`),
		Tensors: []Tensor{
			{"w", S8, 5, 3, seq(15)},
			{"empty", U8, 0, 9, []byte{}},
			{"w.scale", Scale, 5, 1, seq(40)},
			{"gain", S32, 1, 3, seq(12)},
		},
	}
}

func encode(t testing.TB, m *ModelFile) []byte {
	t.Helper()
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBoundsAreTheDevices(t *testing.T) {
	for i, n := range elemSize {
		if device.DType(i).Size() != int(n) {
			t.Errorf("type %d: %d bytes here, %d on a device", i, n, device.DType(i).Size())
		}
	}
	if MaxTensorDim != device.MaxDim || MaxTensorBytes != device.MaxBytes {
		t.Error("tensor bounds differ from the device's")
	}
	if U8 != uint8(device.U8) || S8 != uint8(device.S8) || S32 != uint8(device.S32) || Scale != uint8(device.ScaleT) {
		t.Error("type numbers differ from the device's")
	}
}

func TestModelRoundTrip(t *testing.T) {
	m := sampleModel()
	blob := encode(t, m)
	if len(blob)%modelAlign != 0 {
		t.Fatalf("length %d is not aligned", len(blob))
	}
	got, err := DecodeModel(blob)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(m) {
		t.Fatalf("decoded %v, encoded %v", got, m)
	}
	if got.Bytes() != 67 {
		t.Fatalf("Bytes = %d", got.Bytes())
	}
	if tn, ok := got.Tensor("gain"); !ok || tn.Cols != 3 {
		t.Fatal("Tensor did not find gain")
	}
	if _, ok := got.Tensor("gone"); ok {
		t.Fatal("Tensor found what is not there")
	}
}

func TestModelRefusals(t *testing.T) {
	header := func(s string) []byte {
		b := append([]byte(modelMagic), 0, 0, 0, 0)
		binary.LittleEndian.PutUint32(b[8:], uint32(len(s)))
		b = append(b, s...)
		return append(b, make([]byte, align(int64(len(b)))-int64(len(b)))...)
	}
	good := encode(t, sampleModel())
	flip := func(i int) []byte { b := bytes.Clone(good); b[i] ^= 1; return b }
	one := `{"config":{},"tensors":[{"name":%q,"dtype":%d,"rows":%d,"cols":%d,"offset":%d,"size":%d}]}`
	cases := []struct {
		name string
		blob []byte
		want error
	}{
		{"empty", nil, ErrSyntax},
		{"magic", flip(0), ErrSyntax},
		{"short", good[:11], ErrSyntax},
		{"truncated", good[:len(good)-1], ErrBound},
		{"longer", append(bytes.Clone(good), 0), ErrBound},
		{"padding", flip(len(good) - 1), ErrCanonical},
		{"header too long", append([]byte(modelMagic), 0xff, 0xff, 0xff, 0xff), ErrBound},
		{"not JSON", header(`{`), ErrSyntax},
		{"unknown field", header(`{"config":{},"tensors":[],"x":1}`), ErrSyntax},
		{"trailing", header(`{"config":{},"tensors":[]}{}`), ErrSyntax},
		{"space", header(`{"config":{}, "tensors":[]}`), ErrCanonical},
		{"order", header(`{"tensors":[],"config":{}}`), ErrCanonical},
		{"space in config", header(`{"config":{"a": 1},"tensors":[]}`), ErrCanonical},
		{"config not an object", header(`{"config":[],"tensors":[]}`), ErrSyntax},
		{"no config", header(`{"tensors":[]}`), ErrSyntax},
		{"type 0", header(fmt.Sprintf(one, "a", 0, 0, 0, 0, 0)), ErrBound},
		{"type 9", header(fmt.Sprintf(one, "a", 9, 0, 0, 0, 0)), ErrBound},
		{"no name", header(fmt.Sprintf(one, "", 1, 0, 0, 0, 0)), ErrBound},
		{"long name", header(fmt.Sprintf(one, strings.Repeat("a", 129), 1, 0, 0, 0, 0)), ErrBound},
		{"name with space", header(fmt.Sprintf(one, "a b", 1, 0, 0, 0, 0)), ErrBound},
		{"negative rows", header(fmt.Sprintf(one, "a", 1, -1, 0, 0, 0)), ErrBound},
		{"too many columns", header(fmt.Sprintf(one, "a", 1, 1, 1<<24+1, 0, 1<<24+1)), ErrBound},
		{"too many bytes", header(fmt.Sprintf(one, "a", 4, 1<<24, 1<<24, 0, int64(8)<<48)), ErrBound},
		{"size not the shape's", header(fmt.Sprintf(one, "a", 3, 2, 2, 0, 15)), ErrBound},
		{"offset", header(fmt.Sprintf(one, "a", 3, 0, 2, 64, 0)), ErrCanonical},
		{"data missing", header(fmt.Sprintf(one, "a", 3, 2, 2, 0, 16)), ErrBound},
		{"twice", header(`{"config":{},"tensors":[{"name":"a","dtype":1,"rows":0,"cols":0,"offset":0,"size":0},` +
			`{"name":"a","dtype":1,"rows":0,"cols":0,"offset":0,"size":0}]}`), ErrBound},
	}
	for _, c := range cases {
		_, err := DecodeModel(c.blob)
		var fe *FormatError
		if !errors.Is(err, c.want) || !errors.As(err, &fe) {
			t.Errorf("%s: %v, want class %v", c.name, err, c.want)
		}
	}
}

func sampleModule() *Module {
	return &Module{Name: "hash-pow", Version: "1.0", ABI: 1, Kind: KindPow, MemoryPages: 64,
		TensorBytes: 1 << 20, GasSetup: 5, GasUnit: 7, Params: []byte{1, 2}, Size: 3, Hash: HashOf([]byte("abc"))}
}

func TestModuleRoundTripAndRefusals(t *testing.T) {
	m := sampleModule()
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeModule(text)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(m) {
		t.Fatalf("%v, %v", got, err)
	}
	if err := got.Matches([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if err := got.Matches([]byte("abd")); !errors.Is(err, ErrDigest) {
		t.Fatalf("other bytes: %v", err)
	}
	for name, edit := range map[string]func(*Module){
		"name":    func(m *Module) { m.Name = "Hash" },
		"no name": func(m *Module) { m.Name = "" },
		"kind":    func(m *Module) { m.Kind = "x" },
		"gas":     func(m *Module) { m.GasUnit = -1 },
		"memory":  func(m *Module) { m.MemoryPages = MaxMemoryPages + 1 },
		"size":    func(m *Module) { m.Size = MaxModuleSize + 1 },
		"params":  func(m *Module) { m.Params = make([]byte, MaxModuleParam+1) },
		"version": func(m *Module) { m.Version = "\n" },
	} {
		m := sampleModule()
		edit(m)
		if _, err := m.Encode(); !errors.Is(err, ErrBound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	upper := bytes.Replace(text, []byte(m.Hash.String()), bytes.ToUpper([]byte(m.Hash.String())), 1)
	if _, err := DecodeModule(upper); !errors.Is(err, ErrSyntax) {
		t.Errorf("upper-case hash: %v", err)
	}
	if _, err := DecodeModule(append(bytes.Clone(text), ' ')); !errors.Is(err, ErrCanonical) {
		t.Errorf("trailing space: %v", err)
	}
	if _, err := DecodeModule(make([]byte, MaxManifest+1)); !errors.Is(err, ErrBound) {
		t.Errorf("too long: %v", err)
	}
}

func TestArchive(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	blob := make([]byte, 700<<10)
	r.Read(blob)
	packed, err := Compress(blob)
	if err != nil {
		t.Fatal(err)
	}
	chunks := Chunks(packed)
	if len(chunks) != 3 || len(chunks) != ChunkCount(int64(len(packed))) {
		t.Fatalf("%d chunks", len(chunks))
	}
	n, size := int64(len(packed)), int64(len(blob))
	got, err := Unpack(chunks, n, size, HashOf(blob))
	if err != nil || !bytes.Equal(got, blob) {
		t.Fatalf("unpack: %v", err)
	}
	for name, c := range map[string]struct {
		chunks  [][]byte
		n, size int64
		hash    Hash
		want    error
	}{
		"missing chunk": {chunks[:2], n, size, HashOf(blob), ErrBound},
		"order":         {[][]byte{chunks[2], chunks[1], chunks[0]}, n, size, HashOf(blob), ErrBound},
		"swapped":       {[][]byte{chunks[1], chunks[0], chunks[2]}, n, size, HashOf(blob), ErrSyntax},
		"larger":        {chunks, n, size - 1, HashOf(blob), ErrBound},
		"smaller":       {chunks, n, size + 1, HashOf(blob), ErrBound},
		"hash":          {chunks, n, size, Hash{}, ErrDigest},
	} {
		if _, err := Unpack(c.chunks, c.n, c.size, c.hash); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// A bomb must cost no more than its declared size, however much it unpacks to.
func TestDecompressBomb(t *testing.T) {
	bomb, err := Compress(make([]byte, 64<<20))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decompress(bomb, 1000); !errors.Is(err, ErrBound) {
		t.Fatalf("bomb: %v", err)
	}
	// A frame header that asks for a window of 2^41 bytes.
	huge := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0x01, 0x00, 0x00}
	if _, err := Decompress(huge, 1000); !errors.Is(err, ErrBound) && !errors.Is(err, ErrSyntax) {
		t.Fatalf("window: %v", err)
	}
}

func FuzzDecodeModel(f *testing.F) {
	f.Add(encode(f, sampleModel()))
	f.Add(encode(f, &ModelFile{Config: json.RawMessage(`{}`)}))
	f.Fuzz(func(t *testing.T, blob []byte) {
		m, err := DecodeModel(blob)
		if err != nil {
			var fe *FormatError
			if !errors.As(err, &fe) {
				t.Fatalf("untyped %v", err)
			}
			return
		}
		if again := encode(t, m); !bytes.Equal(again, blob) {
			t.Fatal("accepted a second encoding")
		}
	})
}

func FuzzDecodeModule(f *testing.F) {
	text, _ := sampleModule().Encode()
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := DecodeModule(text)
		if err != nil {
			return
		}
		if again, err := m.Encode(); err != nil || !bytes.Equal(again, text) {
			t.Fatalf("accepted a second encoding (%v)", err)
		}
	})
}

func FuzzDecompress(f *testing.F) {
	p, _ := Compress([]byte("hello hello hello hello"))
	f.Add(p, uint16(23))
	f.Fuzz(func(t *testing.T, p []byte, size uint16) {
		if out, err := Decompress(p, int64(size)); err == nil && len(out) != int(size) {
			t.Fatalf("%d bytes, asked for %d", len(out), size)
		}
	})
}
