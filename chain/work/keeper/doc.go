// Package keeper moves the escrow of channels: a client pays in, a miner takes out what the
// client's latest voucher grants, and the rest returns to the client.
//
// The module's account holds exactly what open channels have left. The package must not know what
// a receipt says.
package keeper
