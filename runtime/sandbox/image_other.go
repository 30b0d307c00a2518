//go:build !linux

package sandbox

import "errors"

// image needs memory files; without them every instance initialises afresh.
type image struct{}

func newImage([]byte) (image, error) { return image{}, errors.ErrUnsupported }

func (image) mapTo(region, uint64) error { return errors.ErrUnsupported }

func (image) release() {}

// SystemMemory is what the machine has, in bytes; 0 if that is unknown.
func SystemMemory() uint64 { return 0 }
