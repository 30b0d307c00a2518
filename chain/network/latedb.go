package network

import (
	"errors"
	"sync"

	cmtdb "github.com/cometbft/cometbft-db"
)

// lateDB is a database that may be read after it was closed: it is empty then. When a node
// stops, CometBFT closes its stores while gossip goroutines of the consensus reactor still
// sleep; on waking they read a block and panic on any error, which would end every other
// node of the process. All of them take a missing block for what it is.
type lateDB struct {
	cmtdb.DB
	mu     sync.RWMutex
	closed bool
}

var errClosed = errors.New("network: database is closed")

func (d *lateDB) Get(key []byte) ([]byte, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return nil, nil
	}
	return d.DB.Get(key)
}

func (d *lateDB) Has(key []byte) (bool, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return false, nil
	}
	return d.DB.Has(key)
}

func (d *lateDB) write(f func() error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return errClosed
	}
	return f()
}

func (d *lateDB) Set(key, value []byte) error {
	return d.write(func() error { return d.DB.Set(key, value) })
}

func (d *lateDB) SetSync(key, value []byte) error {
	return d.write(func() error { return d.DB.SetSync(key, value) })
}

func (d *lateDB) Delete(key []byte) error {
	return d.write(func() error { return d.DB.Delete(key) })
}

func (d *lateDB) DeleteSync(key []byte) error {
	return d.write(func() error { return d.DB.DeleteSync(key) })
}

// Close closes the database once; closing it again does nothing.
func (d *lateDB) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return d.DB.Close()
}
