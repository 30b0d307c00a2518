package evidence

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/cometbft/cometbft/crypto/merkle"
	cmtcrypto "github.com/cometbft/cometbft/proto/tendermint/crypto"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/cosmos/cosmos-sdk/store/v2/rootmulti"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/assaynet/assay/chain/params"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/verifier/commit"
)

// Trust is what the reader believes before it reads a file.
type Trust struct {
	// Header is the hash of the header, as any node that the reader trusts
	// shows it for the height. Empty: Verified.Trusted is false, and the file
	// proves only what more than two thirds of the validators that it names
	// itself have signed.
	Header []byte
}

// Unit is a unit that the claimant committed to.
type Unit struct {
	Index  uint64
	Digest commit.Digest
}

// Verified is evidence that held. Only Verify makes one.
type Verified struct {
	ChainID    string
	Height     int64 // of the header; the state is that after the block before
	Time       time.Time
	HeaderHash []byte
	Trusted    bool // the header is the one that Trust names
	Signers    int  // validators in the set
	Epoch      sprinttypes.Epoch
	Claim      sprinttypes.Claim
	Claimant   []byte // address bytes
	Wasm       []byte
	Units      []Unit // in the order of the file
}

// Verify checks everything that needs no execution. Errors are the package's.
func (e *Evidence) Verify(trust Trust) (*Verified, error) {
	v := &Verified{ChainID: e.ChainID}
	header, err := e.header(v)
	if err != nil {
		return nil, err
	}
	v.HeaderHash = header.Hash()
	if len(trust.Header) > 0 {
		if !bytes.Equal(trust.Header, v.HeaderHash) {
			return nil, fmt.Errorf("%w: height %d has %s here, %s is trusted", ErrTrust, header.Height,
				hex.EncodeToString(v.HeaderHash), hex.EncodeToString(trust.Header))
		}
		v.Trusted = true
	}
	if err := e.state(v, header.AppHash); err != nil {
		return nil, err
	}
	if v.Wasm, err = e.module(v.Epoch.Work.ModuleHash); err != nil {
		return nil, err
	}
	root := commit.Root(v.Claim.Root)
	for i, b := range e.Openings {
		var o commit.Opening
		if err := o.UnmarshalBinary(b); err != nil {
			return nil, fmt.Errorf("%w %d: %w", ErrOpening, i, err)
		}
		d, err := o.Verify(root, v.Claim.Count, v.Epoch.Params.Fold)
		if err != nil {
			return nil, fmt.Errorf("%w %d, unit %d: %w", ErrOpening, i, o.Index, err)
		}
		v.Units = append(v.Units, Unit{o.Index, d})
	}
	return v, nil
}

// header checks the signatures over the header by the set that it names.
func (e *Evidence) header(v *Verified) (*cmttypes.SignedHeader, error) {
	var hp cmtproto.SignedHeader
	if err := hp.Unmarshal(e.Header); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrFormat, err)
	}
	header, err := cmttypes.SignedHeaderFromProto(&hp)
	if err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrFormat, err)
	}
	if err := header.ValidateBasic(e.ChainID); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHeader, err)
	}
	if len(e.Validators) > maxValidators {
		return nil, fmt.Errorf("%w: validators of %d bytes", ErrFormat, len(e.Validators))
	}
	var sp cmtproto.ValidatorSet
	if err := sp.Unmarshal(e.Validators); err != nil {
		return nil, fmt.Errorf("%w: validators: %w", ErrFormat, err)
	}
	set, err := cmttypes.ValidatorSetFromProto(&sp)
	if err != nil {
		return nil, fmt.Errorf("%w: validators: %w", ErrFormat, err)
	}
	if !bytes.Equal(set.Hash(), header.ValidatorsHash) {
		return nil, fmt.Errorf("%w: other validators than the header names", ErrHeader)
	}
	if err := set.VerifyCommitLightAllSignatures(e.ChainID, header.Commit.BlockID, header.Height, header.Commit); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHeader, err)
	}
	v.Height, v.Time, v.Signers = header.Height, header.Time, set.Size()
	return header, nil
}

// state checks both values against the app hash and each other.
func (e *Evidence) state(v *Verified, appHash []byte) error {
	if err := e.Epoch.check(appHash, sprinttypes.EpochPrefix.Bytes()); err != nil {
		return fmt.Errorf("epoch: %w", err)
	}
	if err := v.Epoch.Unmarshal(e.Epoch.Value); err != nil {
		return fmt.Errorf("%w: epoch: %w", ErrProof, err)
	}
	if len(v.Epoch.Seed) != 32 || len(v.Epoch.Work.ModuleHash) != 32 {
		return fmt.Errorf("%w: epoch %d has no work", ErrProof, v.Epoch.Number)
	}
	var err error
	if v.Claimant, err = sdk.GetFromBech32(e.Miner, params.Bech32Prefix); err != nil {
		return fmt.Errorf("%w: miner: %w", ErrFormat, err)
	}
	key, err := sprinttypes.ClaimKey(v.Epoch.Number, v.Claimant)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := e.Claim.check(appHash, key); err != nil {
		return fmt.Errorf("claim of %s in epoch %d: %w", e.Miner, v.Epoch.Number, err)
	}
	if err := v.Claim.Unmarshal(e.Claim.Value); err != nil {
		return fmt.Errorf("%w: claim: %w", ErrProof, err)
	}
	if len(v.Claim.Root) != len(commit.Root{}) {
		return fmt.Errorf("%w: root of %d bytes", ErrProof, len(v.Claim.Root))
	}
	return nil
}

func (e *Evidence) module(hash []byte) ([]byte, error) {
	if e.Module.Size < 0 || e.Module.Size > maxModule || e.Module.PackedSize < 0 || e.Module.PackedSize > maxModule {
		return nil, fmt.Errorf("%w: module of %d bytes, %d packed", ErrFormat, e.Module.Size, e.Module.PackedSize)
	}
	wasm, err := manifest.Unpack(e.Module.Chunks, e.Module.PackedSize, e.Module.Size, [32]byte(hash))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModule, err)
	}
	return wasm, nil
}

// check proves the value at a key of the sprint module's store.
func (p Proven) check(appHash, key []byte) error {
	var ops cmtcrypto.ProofOps
	if err := ops.Unmarshal(p.Proof); err != nil {
		return fmt.Errorf("%w: proof: %w", ErrFormat, err)
	}
	path := merkle.KeyPath{}.AppendKey([]byte(sprinttypes.StoreKey), merkle.KeyEncodingURL).
		AppendKey(key, merkle.KeyEncodingHex)
	if err := rootmulti.DefaultProofRuntime().VerifyValue(&ops, appHash, path.String(), p.Value); err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	return nil
}
