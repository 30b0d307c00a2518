package auditor

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// journalEnv names the folder of the journal of a child process, which is killed.
const journalEnv = "ASSAY_TEST_JOURNAL"

const journalClaims = 50

// judged is the task of claim i, with everything that was drawn of it judged.
func judged(i int) *task {
	claimant := bytes.Repeat([]byte{byte(i)}, 20)
	t := newTask(i, Claim{Claim: commit.Claim{Claimant: claimant}}, []uint64{uint64(i), uint64(i) + 7})
	for _, x := range t.missing {
		t.keyed = append(t.keyed, commit.Keyed{Claimant: claimant, Index: x, Digest: commit.Digest{byte(i), byte(x), 1}})
	}
	return t
}

// TestJournalChild is the process that TestJournalOfTheKilled kills.
func TestJournalChild(t *testing.T) {
	dir := os.Getenv(journalEnv)
	if dir == "" {
		t.Skip("runs as a child of TestJournalOfTheKilled")
	}
	j, err := openJournal(dir, 3, 0, sample.Proof{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range journalClaims {
		if err := j.append(judged(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.sync(); err != nil {
		t.Fatal(err)
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

// A validator that was killed after its verdict opens the same keyed digests without computing them
// again, and those of an earlier round are gone with the next.
func TestJournalOfTheKilled(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run", "^TestJournalChild$")
	child.Env = append(os.Environ(), journalEnv+"="+dir)
	if out, err := child.CombinedOutput(); err == nil {
		t.Fatalf("the child was not killed:\n%s", out)
	}
	kept, err := readJournal(dir, 3, 0, sample.Proof{})
	if err != nil {
		t.Fatal(err)
	}
	var before, after []commit.Keyed
	for i := range journalClaims {
		want := judged(i)
		got := newTask(i, want.claim, want.missing)
		kept.restore(got)
		if len(got.missing) > 0 {
			t.Fatalf("claim %d would be computed again", i)
		}
		before, after = append(before, want.keyed...), append(after, got.keyed...)
	}
	if commit.KeyedRoot(before) != commit.KeyedRoot(after) {
		t.Error("the keyed tree is another one after the kill")
	}
	next, err := openJournal(dir, 4, 0, sample.Proof{})
	if err != nil {
		t.Fatal(err)
	}
	defer next.close()
	if names, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(names) != 1 {
		t.Errorf("%d journals are kept beside the next round's: %v", len(names)-1, err)
	}
}
