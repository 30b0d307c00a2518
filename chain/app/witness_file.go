package app

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// A witness keeps what it has seen in a file, so that a node which is restarted between a deadline and
// its validator's verdict still knows it. Were it forgotten, an upgrade that restarts all nodes in an
// audit would take its late units from every miner. The file is the node's own and no part of the state:
//
//	"assay/witness/1" ‖ u64be(epoch) ‖ records
//	record = u8(len) ‖ address ‖ u64be(count) ‖ root ‖ u32be(CRC-32C of all before)
//
// It holds one epoch and is begun anew with the first commitment of the next. What a crash left of the
// last record is cut off.
const witnessMagic = "assay/witness/1"

// witnessBytes bounds the file: the four newest commitments of 100,000 miners are 26 MB, and older ones
// stay in it. What comes beyond is remembered in memory alone.
const witnessBytes = 64 << 20

var (
	witnessTable = crc32.MakeTable(crc32.Castagnoli)
	errWitness   = errors.New("not a witness file")
)

// witnessFile is where a witness is kept. The zero value keeps nothing.
type witnessFile struct {
	path  string
	file  *os.File
	size  int64
	dirty bool
}

func witnessHeader(epoch uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(witnessMagic), epoch)
}

func witnessRecord(miner []byte, c commitment) []byte {
	b := append([]byte{byte(len(miner))}, miner...)
	b = binary.BigEndian.AppendUint64(b, c.count)
	b = append(b, c.root[:]...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, witnessTable))
}

// load reads what an earlier run left, and goes on after it. A file that is missing or none of these
// holds nothing; its epoch is 0.
func (f *witnessFile) load(each func(miner []byte, c commitment)) (epoch uint64, err error) {
	if f.path == "" {
		return 0, nil
	}
	in, err := os.Open(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("app: witness: %w", err)
	}
	defer in.Close()
	raw, err := io.ReadAll(io.LimitReader(in, witnessBytes))
	if err != nil {
		return 0, fmt.Errorf("app: witness: %w", err)
	}
	header := len(witnessMagic) + 8
	if len(raw) < header || !bytes.HasPrefix(raw, []byte(witnessMagic)) {
		return 0, nil
	}
	epoch = binary.BigEndian.Uint64(raw[len(witnessMagic):])
	f.size = int64(header)
	for rest := raw[header:]; len(rest) > 0; {
		miner, c, n, err := parseWitness(rest)
		if err != nil {
			break // torn by a crash
		}
		each(miner, c)
		rest, f.size = rest[n:], f.size+int64(n)
	}
	return epoch, nil
}

func parseWitness(b []byte) (miner []byte, c commitment, n int, err error) {
	n = 1 + int(b[0]) + 8 + 32 + 4
	if len(b) < n {
		return nil, c, 0, fmt.Errorf("%w: %d bytes of a record of %d", errWitness, len(b), n)
	}
	body := b[:n-4]
	if crc32.Checksum(body, witnessTable) != binary.BigEndian.Uint32(b[n-4:]) {
		return nil, c, 0, fmt.Errorf("%w: checksum of a record", errWitness)
	}
	miner = body[1 : 1+int(b[0])]
	c.count = binary.BigEndian.Uint64(body[len(body)-40:])
	c.root = [32]byte(body[len(body)-32:])
	return miner, c, n, nil
}

// begin starts the file of an epoch.
func (f *witnessFile) begin(epoch uint64) error {
	f.size = 0
	if err := f.open(); err != nil {
		return err
	}
	return f.write(witnessHeader(epoch))
}

// open opens the file and cuts off what follows size.
func (f *witnessFile) open() error {
	if f.path == "" {
		return nil
	}
	if f.file == nil {
		if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
			return fmt.Errorf("app: witness: %w", err)
		}
		file, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return fmt.Errorf("app: witness: %w", err)
		}
		f.file = file
	}
	if err := f.file.Truncate(f.size); err != nil {
		return fmt.Errorf("app: witness: %w", err)
	}
	return nil
}

// append adds a record if there is room.
func (f *witnessFile) append(miner []byte, c commitment) error {
	if f.path == "" {
		return nil
	}
	if f.file == nil { // goes on with what an earlier run left
		if err := f.open(); err != nil {
			return err
		}
	}
	record := witnessRecord(miner, c)
	if f.size+int64(len(record)) > witnessBytes {
		return nil
	}
	return f.write(record)
}

func (f *witnessFile) write(b []byte) error {
	if f.file == nil {
		return nil
	}
	if _, err := f.file.WriteAt(b, f.size); err != nil {
		return fmt.Errorf("app: witness: %w", err)
	}
	f.size, f.dirty = f.size+int64(len(b)), true
	return nil
}

// sync makes what was written outlast the machine's failure too.
func (f *witnessFile) sync() error {
	if !f.dirty {
		return nil
	}
	f.dirty = false
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("app: witness: %w", err)
	}
	return nil
}

func (f *witnessFile) close() error {
	if f.file == nil {
		return nil
	}
	err := errors.Join(f.sync(), f.file.Close())
	f.file = nil
	return err
}
