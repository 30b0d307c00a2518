//go:build unix

package sandbox

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// A stage that is made again at the same name is not taken for the one that
// was there when a sweeper looked.
func TestSweepStageMadeAgain(t *testing.T) {
	root := t.TempDir()
	stop := make(chan struct{})
	var sweepers sync.WaitGroup
	for range 4 {
		sweepers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					sweepStages(root)
				}
			}
		})
	}
	dir := filepath.Join(root, stagePrefix+"1")
	for range 1000 {
		s, err := openStage(dir)
		if err != nil {
			t.Error(err)
			break
		}
		if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
			t.Errorf("in a stage that is held: %v", err)
			break
		}
		if _, err := os.Lstat(filepath.Join(dir, "sub")); err != nil {
			t.Errorf("in a stage that is held: %v", err)
			break
		}
		if err := s.close(); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	sweepers.Wait()
}
