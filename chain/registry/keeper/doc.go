// Package keeper owns content-addressed blobs and what is active in each slot.
//
// A blob is uploaded in chunks under a deposit, unpacked within bounds, hashed and admitted
// when its last chunk arrives. Activations wait for the next epoch. What a module means, and
// how it is executed, the keeper does not know: an Admitter judges it.
package keeper
