package main

import (
	"context"
	"errors"
	"fmt"

	errorsmod "cosmossdk.io/errors"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	audittypes "github.com/assaynet/assay/chain/audit/types"
	"github.com/assaynet/assay/chain/params"
	powertypes "github.com/assaynet/assay/chain/power/types"
	registrytypes "github.com/assaynet/assay/chain/registry/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/sdk/client"
	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/openings"
	"github.com/assaynet/assay/verifier/sample"
)

// link is one account's view of the chain over a node's gRPC server. The
// miner's and the auditor's Chain interfaces are small views of it. It is safe
// for concurrent use.
type link struct {
	c    *client.Client
	acct *client.Account
}

func (l *link) epoch(ctx context.Context) (*sprinttypes.QueryEpochResponse, error) {
	r, err := sprinttypes.NewQueryClient(l.c.Conn()).Epoch(ctx, &sprinttypes.QueryEpochRequest{})
	if err != nil {
		return nil, fmt.Errorf("ask for the epoch: %w", err)
	}
	return r, nil
}

// errUnregistered: the chain does not know the operator (any more).
var errUnregistered = errors.New("not registered")

// registered checks that the chain knows the operator: one that began anew
// under the same name does not.
func (l *link) registered(ctx context.Context) error {
	_, err := powertypes.NewQueryClient(l.c.Conn()).Miner(ctx, &powertypes.QueryMinerRequest{Operator: l.acct.Address()})
	if notFound(err) {
		return fmt.Errorf("%w: the node's %s does not know %s any more: if the chain began anew, start again to register", errUnregistered, l.c.ChainID(), l.acct.Address())
	}
	return err
}

// WaitHeight returns the newest height once it is at least h.
func (l *link) WaitHeight(ctx context.Context, h int64) (int64, error) {
	return l.c.WaitHeight(ctx, h)
}

// Module fetches a blob from the registry, chunk by chunk.
func (l *link) Module(ctx context.Context, hash [32]byte) ([]byte, error) {
	q := registrytypes.NewQueryClient(l.c.Conn())
	var chunks [][]byte
	for {
		r, err := q.Blob(ctx, &registrytypes.QueryBlobRequest{Hash: hash[:], From: uint32(len(chunks)), Limit: 8})
		if err != nil {
			return nil, fmt.Errorf("fetch module %x: %w", hash[:4], err)
		}
		if len(r.Chunks) == 0 {
			return nil, fmt.Errorf("fetch module %x: chunk %d is missing", hash[:4], len(chunks))
		}
		chunks = append(chunks, r.Chunks...)
		if len(chunks) >= int(r.Blob.Chunks) {
			return manifest.Unpack(chunks, int64(r.Blob.PackedSize), int64(r.Blob.Size_), hash)
		}
	}
}

// claims lists all claims of an epoch in the order of their addresses.
func (l *link) claims(ctx context.Context, epoch uint64) ([]sprinttypes.Claim, error) {
	q := sprinttypes.NewQueryClient(l.c.Conn())
	return collect(func(page *pageRequest) ([]sprinttypes.Claim, *pageResponse, error) {
		r, err := q.Claims(ctx, &sprinttypes.QueryClaimsRequest{Epoch: epoch, Pagination: page})
		if err != nil {
			return nil, nil, fmt.Errorf("list claims of epoch %d: %w", epoch, err)
		}
		return r.Claims, r.Pagination, nil
	})
}

// round returns the running round of the audit, or openings.ErrUnknown when
// another one is asked for.
func (l *link) round(ctx context.Context, e sprinttypes.Epoch, epoch, round uint64) (sample.Round, error) {
	if e.Number != epoch || len(e.ClaimsRoot) != len(commit.Root{}) {
		return sample.Round{}, fmt.Errorf("%w: epoch %d is not being audited", openings.ErrUnknown, epoch)
	}
	r, err := audittypes.NewQueryClient(l.c.Conn()).Round(ctx, &audittypes.QueryRoundRequest{})
	if err != nil {
		return sample.Round{}, fmt.Errorf("ask for the round: %w", err)
	}
	if r.Round.Epoch != epoch || uint64(r.Round.Round) != round {
		return sample.Round{}, fmt.Errorf("%w: round %d of epoch %d is not open", openings.ErrUnknown, round, epoch)
	}
	out := sample.Round{ChainID: l.c.ChainID(), Epoch: epoch, Number: round, ClaimsRoot: commit.Root(e.ClaimsRoot)}
	for _, s := range r.Round.Seats {
		addr, err := addressBytes(s.Validator)
		if err != nil {
			return sample.Round{}, err
		}
		seat := sample.Seat{Validator: addr, Power: s.Power}
		if len(s.VrfKey) > 0 {
			if seat.Key, err = sample.ParsePublicKey(s.VrfKey); err != nil {
				return sample.Round{}, fmt.Errorf("VRF key of %s: %w", s.Validator, err)
			}
		}
		out.Seats = append(out.Seats, seat)
	}
	return out, nil
}

// claim converts a claim of the chain.
func claim(c sprinttypes.Claim) (commit.Claim, error) {
	addr, err := addressBytes(c.Miner)
	if err != nil {
		return commit.Claim{}, err
	}
	if len(c.Root) != len(commit.Root{}) {
		return commit.Claim{}, fmt.Errorf("claim of %s has a root of %d bytes", c.Miner, len(c.Root))
	}
	return commit.Claim{Epoch: c.Epoch, Claimant: addr, Root: commit.Root(c.Root), Count: c.Count}, nil
}

func addressBytes(s string) ([]byte, error) {
	b, err := sdk.GetFromBech32(s, bech32Prefix)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", s, err)
	}
	return b, nil
}

// send sends fee-free messages; a refusal by the chain wraps refused.
func (l *link) send(ctx context.Context, refused error, msgs ...sdk.Msg) error {
	_, err := l.acct.Send(ctx, client.SendOptions{Lane: true}, msgs...)
	var tx *client.TxError
	if errors.As(err, &tx) && !tx.Transient() && !roomLater(tx) {
		return fmt.Errorf("%w: %w", refused, err)
	}
	return err
}

// roomLater says whether the chain has no room for a report now, but will have: evidence that was
// dropped then would be lost.
func roomLater(e *client.TxError) bool {
	for _, full := range []*errorsmod.Error{audittypes.ErrQueueFull, audittypes.ErrPendingReports} {
		if e.Codespace == full.Codespace() && e.Code == full.ABCICode() {
			return true
		}
	}
	return false
}

// bech32Prefix of account addresses.
const bech32Prefix = params.Bech32Prefix

func notFound(err error) bool { return status.Code(err) == codes.NotFound }
