package auditor

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// maxLine bounds a line of the journal: MaxSamples keyed digests and openings.
const maxLine = 64 << 20

// journal keeps the claims of one round that are fully judged, one JSON line
// each, so that a restart does not check them again. A torn or foreign line
// costs only the work it stood for.
type journal struct {
	mu   sync.Mutex
	file *os.File
	done map[string]entry
}

type entry struct {
	Claimant string      `json:"claimant"`
	Indexes  []uint64    `json:"indexes"`
	Keyed    [][]byte    `json:"keyed"`
	False    []falseUnit `json:"false,omitempty"`
}

// openJournal opens the journal of a round and removes those of others. The
// VRF proof names the round: it binds chain, epoch, round and all claims.
func openJournal(dir string, epoch, round uint64, proof sample.Proof) (*journal, error) {
	j := &journal{done: map[string]entry{}}
	if dir == "" {
		return j, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("auditor: journal: %w", err)
	}
	name := journalName(epoch, round, proof)
	old, err := filepath.Glob(filepath.Join(dir, "audit-*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("auditor: journal: %w", err)
	}
	for _, path := range old {
		if filepath.Base(path) != name {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, fmt.Errorf("auditor: journal: %w", err)
			}
		}
	}
	j.file, err = os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("auditor: journal: %w", err)
	}
	j.scan(j.file)
	// Start on a line of its own whatever the last one is.
	if _, err := j.file.WriteString("\n"); err != nil {
		j.file.Close()
		return nil, fmt.Errorf("auditor: journal: %w", err)
	}
	return j, nil
}

func journalName(epoch, round uint64, proof sample.Proof) string {
	out := proof.Output()
	return fmt.Sprintf("audit-%d-%d-%x.jsonl", epoch, round, out[:8])
}

// readJournal reads what a round's journal holds; it is empty where there is
// none. It may be written meanwhile.
func readJournal(dir string, epoch, round uint64, proof sample.Proof) (*journal, error) {
	j := &journal{done: map[string]entry{}}
	if dir == "" {
		return j, nil
	}
	f, err := os.Open(filepath.Join(dir, journalName(epoch, round, proof)))
	if errors.Is(err, os.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return nil, fmt.Errorf("auditor: journal: %w", err)
	}
	defer f.Close()
	j.scan(f)
	return j, nil
}

func (j *journal) scan(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e entry
		if json.Unmarshal(lines.Bytes(), &e) == nil && len(e.Keyed) == len(e.Indexes) {
			j.done[e.Claimant] = e
		}
	}
}

// restore takes up an earlier run's result for a claim, if it covers exactly
// the units that are drawn.
func (j *journal) restore(t *task) {
	e, ok := j.done[hex.EncodeToString(t.claim.Claimant)]
	if !ok || len(e.Indexes) != len(t.missing) {
		return
	}
	var keyed []commit.Keyed
	drawn := map[uint64]bool{}
	for _, x := range t.missing {
		drawn[x] = true
	}
	for i, x := range e.Indexes {
		if !drawn[x] || len(e.Keyed[i]) != commit.UnitDigestSize {
			return
		}
		delete(drawn, x)
		keyed = append(keyed, commit.Keyed{Claimant: t.claim.Claimant, Index: x, Digest: commit.Digest(e.Keyed[i])})
	}
	t.missing, t.keyed, t.falses = nil, keyed, e.False
}

func (j *journal) append(t *task) error {
	if j.file == nil || len(t.keyed) != t.drawn {
		return nil
	}
	e := entry{Claimant: hex.EncodeToString(t.claim.Claimant), False: t.falses}
	for _, k := range t.keyed {
		e.Indexes = append(e.Indexes, k.Index)
		e.Keyed = append(e.Keyed, k.Digest[:])
	}
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("auditor: journal: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("auditor: journal: %w", err)
	}
	return nil
}

// sync makes what was appended outlast a failure of the machine.
func (j *journal) sync() error {
	if j.file == nil {
		return nil
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("auditor: journal: %w", err)
	}
	return nil
}

func (j *journal) close() {
	if j.file != nil {
		j.file.Close() // everything was written; nothing is buffered here
	}
}
