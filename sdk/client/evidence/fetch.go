package evidence

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	rpcclient "github.com/cometbft/cometbft/rpc/client"
	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
	cmttypes "github.com/cometbft/cometbft/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/gogoproto/proto"

	"github.com/assaynet/assay/chain/params"
	registrytypes "github.com/assaynet/assay/chain/registry/types"
	sprinttypes "github.com/assaynet/assay/chain/sprint/types"
)

// ErrNotRunning: the epoch asked for is not the one that runs at the height.
var ErrNotRunning = errors.New("evidence: the epoch is not running at this height")

// Source is a node that evidence is fetched from. It is believed in nothing:
// Verify checks what came.
type Source struct {
	rpc *rpchttp.HTTP
}

// Open reaches a node's CometBFT RPC, for instance tcp://127.0.0.1:26657.
func Open(rpc string) (*Source, error) {
	c, err := rpchttp.New(rpc, "/websocket")
	if err != nil {
		return nil, fmt.Errorf("evidence: %s: %w", rpc, err)
	}
	return &Source{c}, nil
}

// Query says what to fetch.
type Query struct {
	Miner string // bech32
	// Height of the state, 0 for the newest that has a header: the epoch that
	// runs at it is the claim's.
	Height int64
	// Epoch must run at Height; 0 takes any.
	Epoch uint64
}

// Fetch collects the evidence of a claim, without openings.
func (s *Source) Fetch(ctx context.Context, q Query) (*Evidence, error) {
	addr, err := sdk.GetFromBech32(q.Miner, params.Bech32Prefix)
	if err != nil {
		return nil, fmt.Errorf("evidence: miner %q: %w", q.Miner, err)
	}
	st, err := s.rpc.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("evidence: ask the node: %w", err)
	}
	if q.Height == 0 {
		q.Height = st.SyncInfo.LatestBlockHeight - 1
	}
	if q.Height < 1 || q.Height >= st.SyncInfo.LatestBlockHeight {
		return nil, fmt.Errorf("evidence: height %d has no header after it yet; the chain is at %d", q.Height, st.SyncInfo.LatestBlockHeight)
	}
	e := &Evidence{Version: version, ChainID: st.NodeInfo.Network, Miner: q.Miner}
	if e.Epoch, err = s.prove(ctx, q.Height, sprinttypes.EpochPrefix.Bytes()); err != nil {
		return nil, fmt.Errorf("evidence: the epoch at height %d: %w", q.Height, err)
	}
	var running sprinttypes.Epoch
	if err := running.Unmarshal(e.Epoch.Value); err != nil {
		return nil, fmt.Errorf("%w: epoch: %w", ErrFormat, err)
	}
	if q.Epoch != 0 && q.Epoch != running.Number {
		return nil, fmt.Errorf("%w: %d runs at height %d, %d was asked for", ErrNotRunning, running.Number, q.Height, q.Epoch)
	}
	key, err := sprinttypes.ClaimKey(running.Number, addr)
	if err != nil {
		return nil, err
	}
	if e.Claim, err = s.prove(ctx, q.Height, key); err != nil {
		return nil, fmt.Errorf("evidence: claim of %s in epoch %d: %w", q.Miner, running.Number, err)
	}
	if e.Header, e.Validators, err = s.header(ctx, q.Height+1); err != nil {
		return nil, fmt.Errorf("evidence: header %d: %w", q.Height+1, err)
	}
	if e.Module, err = s.module(ctx, running.Work.ModuleHash); err != nil {
		return nil, fmt.Errorf("evidence: module %x: %w", running.Work.ModuleHash, err)
	}
	return e, nil
}

// prove reads a key of the sprint module's store with its proof.
func (s *Source) prove(ctx context.Context, height int64, key []byte) (Proven, error) {
	r, err := s.rpc.ABCIQueryWithOptions(ctx, "/store/"+sprinttypes.StoreKey+"/key", key,
		rpcclient.ABCIQueryOptions{Height: height, Prove: true})
	if err != nil {
		return Proven{}, err
	}
	if r.Response.Code != 0 {
		return Proven{}, fmt.Errorf("the node says %q", r.Response.Log)
	}
	if len(r.Response.Value) == 0 {
		return Proven{}, errors.New("there is none")
	}
	if r.Response.ProofOps == nil {
		return Proven{}, errors.New("the node gave no proof")
	}
	proof, err := r.Response.ProofOps.Marshal()
	return Proven{Value: r.Response.Value, Proof: proof}, err
}

// header is a signed header with the whole set that signed it.
func (s *Source) header(ctx context.Context, height int64) (header, validators []byte, err error) {
	c, err := s.rpc.Commit(ctx, &height)
	if err != nil {
		return nil, nil, err
	}
	var all []*cmttypes.Validator
	for page, per := 1, 100; ; page++ {
		r, err := s.rpc.Validators(ctx, &height, &page, &per)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, r.Validators...)
		if len(all) >= r.Total || len(r.Validators) == 0 {
			break
		}
	}
	set, err := cmttypes.ValidatorSetFromExistingValidators(all)
	if err != nil {
		return nil, nil, err
	}
	sp, err := set.ToProto()
	if err != nil {
		return nil, nil, err
	}
	if validators, err = sp.Marshal(); err != nil {
		return nil, nil, err
	}
	header, err = c.SignedHeader.ToProto().Marshal()
	return header, validators, err
}

func (s *Source) module(ctx context.Context, hash []byte) (Packed, error) {
	var out Packed
	for {
		var r registrytypes.QueryBlobResponse
		err := s.query(ctx, "/assay.registry.v1.Query/Blob",
			&registrytypes.QueryBlobRequest{Hash: hash, From: uint32(len(out.Chunks)), Limit: 8}, &r)
		if err != nil {
			return Packed{}, err
		}
		if len(r.Chunks) == 0 {
			return Packed{}, fmt.Errorf("chunk %d is missing", len(out.Chunks))
		}
		out.Chunks = append(out.Chunks, r.Chunks...)
		out.PackedSize, out.Size = int64(r.Blob.PackedSize), int64(r.Blob.Size_)
		if len(out.Chunks) >= int(r.Blob.Chunks) {
			return out, nil
		}
	}
}

// query calls a gRPC query through the RPC.
func (s *Source) query(ctx context.Context, path string, req, resp proto.Message) error {
	b, err := proto.Marshal(req)
	if err != nil {
		return err
	}
	r, err := s.rpc.ABCIQuery(ctx, path, b)
	if err != nil {
		return err
	}
	if r.Response.Code != 0 {
		return errors.New("the node says " + strconv.Quote(r.Response.Log))
	}
	return proto.Unmarshal(r.Response.Value, resp)
}

// Opened returns the openings that a transaction put on chain: of a report,
// or of the answers to a demand.
func (s *Source) Opened(ctx context.Context, txHash []byte, decode func(tx []byte) ([][]byte, error)) ([][]byte, error) {
	r, err := s.rpc.Tx(ctx, txHash, false)
	if err != nil {
		return nil, fmt.Errorf("evidence: transaction %X: %w", txHash, err)
	}
	return decode(r.Tx)
}
