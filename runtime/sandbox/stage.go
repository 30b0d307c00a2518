package sandbox

import (
	"os"
	"path/filepath"
)

// stagePrefix begins the name of every directory for files in passing: what
// the compiler process writes, what wazero reads, and files on their way into
// the cache.
const stagePrefix = "assay-stage-"

// stage is a private directory that its process holds a lock on. It lives for
// one operation; if the process dies in it, the lock goes with the process
// and sweepStages finds the directory free.
type stage struct {
	dir  string
	lock *os.File
}

// newStage makes a stage of its own under root.
func newStage(root string) (*stage, error) {
	for {
		dir, err := os.MkdirTemp(root, stagePrefix+"*") // mode 0700
		if err != nil {
			return nil, err
		}
		if s, err := lockStage(dir); s != nil || err != nil {
			return s, err
		}
	}
}

// openStage makes the stage at a name that newStage gave out before. It fails
// if somebody else has made it meanwhile.
func openStage(dir string) (*stage, error) {
	for {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
		if s, err := lockStage(dir); s != nil || err != nil {
			return s, err
		}
	}
}

// close removes the stage.
func (s *stage) close() error {
	err := os.RemoveAll(s.dir)
	s.lock.Close()
	return err
}

// sweepStages removes the stages of processes that are gone.
func sweepStages(root string) {
	dirs, err := filepath.Glob(filepath.Join(root, stagePrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		if lock := abandoned(dir); lock != nil {
			_ = os.RemoveAll(dir)
			lock.Close()
		}
	}
}
