// Package shape is the parameter bytes of the transformerpow module: their
// bounds, and the work and memory that follow from them.
//
// It is a leaf that the guest and hosts share, so that a host prices and
// refuses exactly what the guest would. It must not know how a unit is computed.
package shape
