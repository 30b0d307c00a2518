package till

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/assaynet/assay/verifier/commit"
)

// voucher is a client's signed promise of Amount over the channel's life.
type voucher struct {
	Epoch     uint64 `json:"epoch"`
	Amount    uint64 `json:"amount"`
	Signature []byte `json:"signature"`
}

// ledger is what is known of one channel. What is exported is on disk.
type ledger struct {
	Channel uint64 `json:"channel"`
	// Spent is the sum of all receipts, in ngnk.
	Spent uint64 `json:"spent"`
	// Vouchers holds the best of each epoch, epochs and amounts rising.
	Vouchers []voucher `json:"vouchers"`

	held    uint64 // by bills that are not charged yet
	settled uint64 // on chain, as last seen
	refused uint64 // amount of a voucher that the chain would not cash
	bills   map[[32]byte]*bill
}

// keepVouchers is how many epochs' vouchers are kept: those that cannot be
// settled yet, and the last that could.
const keepVouchers = 4

// best is the largest amount that was promised.
func (l *ledger) best() uint64 {
	if n := len(l.Vouchers); n > 0 {
		return l.Vouchers[n-1].Amount
	}
	return 0
}

// cash returns the best voucher of an epoch up to the given one.
func (l *ledger) cash(epoch uint64) (v voucher, ok bool) {
	for _, w := range l.Vouchers {
		if w.Epoch <= epoch {
			v, ok = w, true
		}
	}
	return v, ok
}

// add takes in a voucher that promises more than the best one.
func (l *ledger) add(v voucher) {
	var kept []voucher
	for _, w := range l.Vouchers {
		if w.Epoch < v.Epoch {
			kept = append(kept, w)
		}
	}
	kept = append(kept, v)
	l.Vouchers = kept[max(0, len(kept)-keepVouchers):]
}

// files is the till's folder: channel-N.json, receipts-E and sealed.json.
type files struct{ dir string }

func (f files) channel(id uint64) string {
	return filepath.Join(f.dir, fmt.Sprintf("channel-%d.json", id))
}

func (f files) sealedPath() string { return filepath.Join(f.dir, "sealed.json") }

func (f files) receiptsOf(epoch uint64) string {
	return filepath.Join(f.dir, fmt.Sprintf("receipts-%d", epoch))
}

// write replaces a file so that after a crash it holds the old or the new bytes.
func (f files) write(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(f.dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails once it was renamed
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// load reads all ledgers and the number of the last sealed epoch.
func (f files) load() (ledgers map[uint64]*ledger, sealed uint64, err error) {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return nil, 0, err
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, 0, err
	}
	ledgers = map[uint64]*ledger{}
	read := func(name string, v any) error {
		b, err := os.ReadFile(filepath.Join(f.dir, name))
		if err == nil {
			err = json.Unmarshal(b, v)
		}
		if err != nil {
			return fmt.Errorf("till: %s: %w", name, err)
		}
		return nil
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == "sealed.json":
			err = read(name, &sealed)
		case strings.HasPrefix(name, "channel-"):
			l := &ledger{bills: map[[32]byte]*bill{}}
			err = read(name, l)
			ledgers[l.Channel] = l
		}
		if err != nil {
			return nil, 0, err
		}
	}
	return ledgers, sealed, nil
}

// append adds a receipt to an epoch's file: length u32, then the bytes.
func (f files) append(epoch uint64, rc commit.Receipt) error {
	b := rc.Bytes()
	file, err := os.OpenFile(f.receiptsOf(epoch), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...))
	return errors.Join(err, file.Sync(), file.Close())
}

// receipts reads an epoch's receipts; a last one that a crash cut short was
// never handed out and is left out.
func (f files) receipts(epoch uint64) ([]commit.Receipt, error) {
	b, err := os.ReadFile(f.receiptsOf(epoch))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []commit.Receipt
	for len(b) > 0 {
		if len(b) < 4 || uint64(len(b)-4) < uint64(binary.LittleEndian.Uint32(b)) {
			return out, nil
		}
		n := binary.LittleEndian.Uint32(b)
		rc, err := commit.DecodeReceipt(b[4 : 4+n])
		if err != nil {
			return nil, fmt.Errorf("till: receipts of epoch %d: %w", epoch, errors.Join(err, io.ErrUnexpectedEOF))
		}
		out = append(out, rc)
		b = b[4+n:]
	}
	return out, nil
}

func (f files) forget(path string) {
	_ = os.Remove(path) // what stays is overwritten or ignored
}
