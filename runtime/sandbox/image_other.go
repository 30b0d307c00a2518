//go:build !linux

package sandbox

import "errors"

// image needs memory files; without them every instance initialises afresh.
type image struct{}

func newImage([]byte) (image, error) { return image{}, errors.ErrUnsupported }

func (image) mapTo(region, uint64) error { return errors.ErrUnsupported }

func (image) release() {}
