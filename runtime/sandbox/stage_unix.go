//go:build unix

package sandbox

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// lockStage locks a directory just made. It returns nil without an error if a
// sweeper took it for abandoned in between.
func lockStage(dir string) (*stage, error) {
	f, err := openDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX) // waits for a sweeper at most
	}
	if err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "lock", Path: dir, Err: err}
	}
	if !stands(f, dir) {
		f.Close()
		return nil, nil
	}
	return &stage{dir, f}, nil
}

// abandoned returns the locked directory if nobody else holds it. What was
// locked may have been removed, and made again at its name, since it was
// opened; while the lock of what stands there is held, that cannot happen.
func abandoned(dir string) *os.File {
	f, err := openDir(dir)
	if err != nil {
		return nil // gone, or another user's
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil
	}
	if !stands(f, dir) {
		f.Close()
		return nil
	}
	return f
}

// stands says whether a directory is still the one of that name.
func stands(f *os.File, dir string) bool {
	held, err1 := f.Stat()
	there, err2 := os.Lstat(dir)
	return err1 == nil && err2 == nil && os.SameFile(held, there)
}

func openDir(dir string) (*os.File, error) {
	return os.OpenFile(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
}
