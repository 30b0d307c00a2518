//go:build linux

package plugin

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestSweep: directories that hosts have left are removed, those of living
// hosts and what only looks like one are not.
func TestSweep(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	left := filepath.Join(tmp, socketDirPrefix+"left")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "plugin1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(tmp, "outside")
	if err := os.Mkdir(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	kept := []string{filepath.Join(tmp, socketDirPrefix+"file"), filepath.Join(tmp, socketDirPrefix+"link")}
	if err := os.WriteFile(kept[0], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, kept[1]); err != nil {
		t.Fatal(err)
	}
	alive, lock, err := newSocketDir()
	if err != nil {
		t.Fatal(err)
	}
	sweepSocketDirs()
	for _, path := range append(kept, alive, outside) {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("removed: %v", err)
		}
	}
	if _, err := os.Lstat(left); !os.IsNotExist(err) {
		t.Errorf("not removed: %v", err)
	}
	lock.Close()
	sweepSocketDirs()
	if _, err := os.Lstat(alive); !os.IsNotExist(err) {
		t.Errorf("not removed after its host's end: %v", err)
	}
}

// TestSweepRace: hosts that start while others sweep keep their directories.
func TestSweepRace(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	stop := make(chan struct{})
	var sweeper, makers sync.WaitGroup
	sweeper.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				sweepSocketDirs()
			}
		}
	})
	for range 4 {
		makers.Go(func() {
			for range 200 {
				dir, lock, err := newSocketDir()
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := os.Lstat(dir); err != nil {
					t.Errorf("removed: %v", err)
				}
				lock.Close()
			}
		})
	}
	makers.Wait()
	close(stop)
	sweeper.Wait()
}
