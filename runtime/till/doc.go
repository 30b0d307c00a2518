// Package till takes payment for answers over channels: it checks a client's
// vouchers, keeps the best ones and the receipts on disk, and once an epoch
// commits to the receipts and cashes the vouchers on chain.
//
// It must not know how the chain is reached or which signature scheme accounts
// use (see Chain), nor how answers are made.
package till
