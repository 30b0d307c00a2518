package device

// A Cluster is a Device of several that compute each for itself: a space lies
// on one of them, and can share tensors only with spaces of the same one.
type Cluster interface {
	Device
	// NewSpaceNear is NewSpace on the device on which from lies.
	NewSpaceNear(from Space, limit int64) (Space, error)
}

// NewSpaceNear opens a space that can share from's tensors, which must be a space of
// d; a nil from is any place.
func NewSpaceNear(d Device, from Space, limit int64) (Space, error) {
	if c, ok := d.(Cluster); ok && from != nil {
		return c.NewSpaceNear(from, limit)
	}
	return d.NewSpace(limit)
}
