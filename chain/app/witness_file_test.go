package app

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// witnessEnv names the file of the witness of a child process, which is killed.
const witnessEnv = "ASSAY_TEST_WITNESS"

const witnessKilled = 300 // commitments that the child sees

// TestWitnessChild is the process that TestWitnessSurvives kills.
func TestWitnessChild(t *testing.T) {
	path := os.Getenv(witnessEnv)
	if path == "" {
		t.Skip("runs as a child of TestWitnessSurvives")
	}
	w := openWitness(path, func(err error) { t.Error(err) })
	w.note(commitWork(2, 1), []byte("of an earlier epoch"))
	for i := range uint64(witnessKilled) {
		w.note(commitWork(3, i), binary.BigEndian.AppendUint64(nil, i/2))
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Kill(); err != nil {
		t.Fatal(err)
	}
	select {}
}

// What a node saw in time it still knows after it was killed, and nothing of another epoch; what a crash
// tore is cut off, and it goes on after it.
func TestWitnessSurvives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "witness")
	child := exec.Command(os.Args[0], "-test.run", "^TestWitnessChild$")
	child.Env = append(os.Environ(), witnessEnv+"="+path)
	if out, err := child.CombinedOutput(); err == nil {
		t.Fatalf("the child was not killed:\n%s", out)
	}
	open := func() *witness {
		w := openWitness(path, func(err error) { t.Error(err) })
		t.Cleanup(func() {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
		return w
	}
	known := func(w *witness) (n int) {
		for i := range uint64(witnessKilled) {
			m := commitWork(3, i)
			if w.Saw(m.Epoch, binary.BigEndian.AppendUint64(nil, i/2), m.Count, m.Root) {
				n++
			}
		}
		return n
	}
	w := open()
	if n := known(w); n != witnessKilled {
		t.Errorf("%d of %d commitments are known after a kill", n, witnessKilled)
	}
	if old := commitWork(2, 1); w.Saw(2, []byte("of an earlier epoch"), old.Count, old.Root) {
		t.Error("an earlier epoch is known")
	}

	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	each := 1 + 8 + 8 + 32 + 4
	for cut, want := range map[int]int{1: witnessKilled - 1, each: witnessKilled - 1, each + 1: witnessKilled - 2, len(raw): 0, len(raw) - 5: 0} {
		if err := os.WriteFile(path, raw[:len(raw)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		w := open()
		if n := known(w); n != want {
			t.Errorf("%d bytes short: %d commitments are known, want %d", cut, n, want)
		}
		w.note(commitWork(3, 1_000), []byte("later"))
		w.committed()
		w = open()
		if n := known(w); n != want || !w.Saw(3, []byte("later"), 1_000, commitWork(3, 1_000).Root) {
			t.Errorf("%d bytes short: %d commitments are known after one more, want %d and that one", cut, n, want)
		}
	}
	flipped := append([]byte(nil), raw...)
	flipped[len(raw)/2] ^= 1
	if err := os.WriteFile(path, flipped, 0o600); err != nil {
		t.Fatal(err)
	}
	if n := known(open()); n == 0 || n >= witnessKilled {
		t.Errorf("a flipped bit leaves %d commitments", n)
	}
}

// A folder that cannot be written to costs the memory over a restart, and nothing else.
func TestWitnessWithoutDisk(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	failures := 0
	w := openWitness(filepath.Join(blocked, "witness"), func(error) { failures++ })
	for i := range uint64(3) {
		w.note(commitWork(1, i), []byte("a"))
		w.committed()
	}
	if failures != 1 || !w.Saw(1, []byte("a"), 2, commitWork(1, 2).Root) {
		t.Errorf("%d failures were told, want one", failures)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
