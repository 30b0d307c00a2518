// Package types holds the messages and state of the work module: channels with escrow, vouchers
// and receipts roots.
//
// A channel moves escrow only: never emission, never weight. The package must not know what a
// receipt says or how an answer was computed.
package types
