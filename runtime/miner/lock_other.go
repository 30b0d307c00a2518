//go:build !unix

package miner

import (
	"os"
	"path/filepath"
)

// lockDir opens the lock file; without flock it does not keep others out.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
}
