package plugin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// newSocketDir makes the directory of a process's sockets and locks it for as
// long as the file is open, which is no longer than this host lives.
func newSocketDir() (string, *os.File, error) {
	for {
		dir, err := os.MkdirTemp("", socketDirPrefix)
		if err != nil {
			return "", nil, err
		}
		f, err := lockDir(dir, 0)
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue // another host took it for one that was left
		case err != nil:
			os.RemoveAll(dir)
			return "", nil, fmt.Errorf("lock %s: %w", dir, err)
		}
		return dir, f, nil
	}
}

// lockDir locks a directory. os.ErrNotExist says that there is none of that
// name any more.
func lockDir(dir string, how int) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), dir)
	for {
		if err = unix.Flock(fd, unix.LOCK_EX|how); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	opened, err := f.Stat()
	if err == nil {
		var named os.FileInfo
		if named, err = os.Lstat(dir); err == nil && !os.SameFile(opened, named) {
			err = os.ErrNotExist
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// sweepSocketDirs removes the directories of hosts that were killed together
// with their device processes: nobody holds their locks.
func sweepSocketDirs() {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), socketDirPrefix+"*"))
	if err != nil {
		return // a pattern that means something; nothing is lost
	}
	for _, dir := range dirs {
		if f, err := lockDir(dir, unix.LOCK_NB); err == nil {
			os.RemoveAll(dir)
			f.Close()
		}
	}
}
