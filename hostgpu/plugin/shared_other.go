//go:build !linux

package plugin

import (
	"errors"
	"os"
	"sync/atomic"
)

const sharedSupported = false

var errNoShared = errors.New("plugin: shared memory is not supported on this system")

func futexWait(*atomic.Uint32, uint32, bool) {}
func futexWake(*atomic.Uint32)               {}

func newShared() (*os.File, []byte, error)      { return nil, nil, errNoShared }
func unmapShared([]byte)                        {}
func (s *server) sharedMemory() ([]byte, error) { return nil, errNoShared }
