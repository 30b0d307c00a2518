package app

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	"github.com/cosmos/cosmos-sdk/x/auth/ante"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"
)

// verifiedMost bounds each of the two generations of remembered signatures, 32 bytes and a map entry
// each: about 2 MB in all. It is more than a full mempool and a block hold.
const verifiedMost = 16_384

// verified remembers signatures that this node found right, so that a transaction is verified once
// and not in the mempool, the proposal, its check and the block again. Whether a signature is right
// depends on nothing but what enters the key, so that remembering changes no result. It is safe for
// concurrent use.
type verified struct {
	mu       sync.Mutex
	now, old map[[32]byte]struct{}
}

// verifiedKey binds all that the verification of one direct signature reads: the transaction, in which
// messages, fee, sequence and signature are, the chain, and the account's number and key.
func verifiedKey(chainID string, raw []byte, number uint64, pubkey []byte) (key [32]byte) {
	h := sha256.New()
	put := func(b []byte) {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	put([]byte(chainID))
	put(raw)
	put(binary.LittleEndian.AppendUint64(nil, number))
	put(pubkey)
	h.Sum(key[:0])
	return key
}

func (v *verified) has(key [32]byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.now[key]; ok {
		return true
	}
	_, ok := v.old[key]
	return ok
}

func (v *verified) add(key [32]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.now) >= verifiedMost || v.now == nil {
		v.old, v.now = v.now, make(map[[32]byte]struct{})
	}
	v.now[key] = struct{}{}
}

// verifyDecorator is the SDK's check of signatures and sequences, in which a signature that was found
// right before is not computed again.
type verifyDecorator struct {
	ante.SigVerificationDecorator
	accounts authkeeper.AccountKeeper
	known    *verified
}

func (d verifyDecorator) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool, next sdk.AnteHandler) (sdk.Context, error) {
	key, ok := d.key(ctx, tx)
	if !ok || simulate || ctx.IsReCheckTx() || !ctx.IsSigverifyTx() {
		return d.SigVerificationDecorator.AnteHandle(ctx, tx, simulate, next)
	}
	if d.known.has(key) {
		// The flag skips the signature and nothing else; sequence and account are checked.
		return d.SigVerificationDecorator.AnteHandle(ctx.WithIsSigverifyTx(false), tx, simulate,
			func(ctx sdk.Context, tx sdk.Tx, simulate bool) (sdk.Context, error) {
				return next(ctx.WithIsSigverifyTx(true), tx, simulate)
			})
	}
	return d.SigVerificationDecorator.AnteHandle(ctx, tx, simulate,
		func(ctx sdk.Context, tx sdk.Tx, simulate bool) (sdk.Context, error) {
			d.known.add(key)
			return next(ctx, tx, simulate)
		})
}

// key is that of a transaction with one direct signature; other ways to sign read more than that.
func (d verifyDecorator) key(ctx sdk.Context, tx sdk.Tx) (key [32]byte, ok bool) {
	signed, ok := tx.(authsigning.SigVerifiableTx)
	if !ok || len(ctx.TxBytes()) == 0 || ctx.BlockHeight() == 0 {
		return key, false
	}
	signers, err := signed.GetSigners()
	if err != nil || len(signers) != 1 {
		return key, false
	}
	sigs, err := signed.GetSignaturesV2()
	if err != nil || len(sigs) != 1 {
		return key, false
	}
	single, ok := sigs[0].Data.(*signing.SingleSignatureData)
	if !ok || single.SignMode != signing.SignMode_SIGN_MODE_DIRECT {
		return key, false
	}
	account := d.accounts.GetAccount(ctx, signers[0])
	if account == nil || account.GetPubKey() == nil {
		return key, false
	}
	return verifiedKey(ctx.ChainID(), ctx.TxBytes(), account.GetAccountNumber(), account.GetPubKey().Bytes()), true
}
