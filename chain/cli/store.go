package cli

import (
	"context"
	"fmt"
	"math"
	"os"

	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"

	registrytypes "github.com/assaynet/assay/chain/registry/types"
	"github.com/assaynet/assay/modules/manifest"
)

const beginGas = 600_000

// payersGas is what a block has for transactions that pay: half of its gas (chain/app).
func payersGas(ctx context.Context, s *sender) (uint64, error) {
	r, err := consensustypes.NewQueryClient(s.ctx).Params(ctx, &consensustypes.QueryParamsRequest{})
	if err != nil {
		return 0, fmt.Errorf("ask for the gas of a block: %w", err)
	}
	if r.Params.Block == nil || r.Params.Block.MaxGas < 0 {
		return math.MaxUint64, nil // no limit
	}
	return uint64(r.Params.Block.MaxGas) / 2, nil
}

func storeCommand() *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use:   "store FILE",
		Short: "Upload a module or model in chunks, under a storage deposit; goes on where it was cut off",
		Long: "Upload a module or model in chunks, under a storage deposit, and wait until the chain has it.\n" +
			"The same command goes on where an upload was cut off. It pays the fees that the chain asks for.",
		Example: "  assay tx registry store my.wasm --from researcher --home /tmp/net\n" +
			"  assay tx registry store model.bin --kind model --from researcher --output json",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, err := client.GetClientTxContext(cmd)
			if err != nil {
				return err
			}
			blob, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			s, err := newSender(ctx, ctx.FromName)
			if err != nil {
				return err
			}
			return store(cmd, s, kind, blob)
		},
	}
	cmd.Flags().StringVar(&kind, "kind", registrytypes.KindModule, "kind of the blob: module or model")
	cmd.Flags().String(flags.FlagFrom, "", "key that signs and pays")
	addTxFlags(cmd)
	_ = cmd.MarkFlagRequired(flags.FlagFrom)
	return cmd
}

func store(cmd *cobra.Command, s *sender, kind string, blob []byte) error {
	query := registrytypes.NewQueryClient(s.ctx)
	hash := manifest.HashOf(blob)
	if found, err := query.Blob(cmd.Context(), &registrytypes.QueryBlobRequest{Hash: hash[:]}); err == nil && found.Blob.Complete {
		return fmt.Errorf("%x is stored already", hash[:])
	}
	packed, err := manifest.Compress(blob)
	if err != nil {
		return err
	}
	p, err := query.Params(cmd.Context(), &registrytypes.QueryParamsRequest{})
	if err != nil {
		return err
	}
	if most, err := p.Params.MaxSize(kind); err != nil {
		return err
	} else if uint64(len(blob)) > most {
		return fmt.Errorf("a %s of %d bytes: the chain takes %d at most (assay query registry params)", kind, len(blob), most)
	}
	var chunks [][]byte
	for rest := packed; len(rest) > 0; {
		n := min(len(rest), int(p.Params.ChunkBytes))
		chunks = append(chunks, rest[:n])
		rest = rest[n:]
	}
	last := registrytypes.ChunkGas(len(chunks[len(chunks)-1])) + registrytypes.CompleteGas(kind, uint64(len(blob)))
	if room, err := payersGas(cmd.Context(), s); err != nil {
		return err
	} else if last > room {
		return fmt.Errorf("a %s of %d bytes takes %d gas with its last chunk, and a block has %d for those who pay: make it smaller, "+
			"or raise max_gas by governance", kind, len(blob), last, room)
	}
	creator := s.address.String()
	uploads, err := query.Uploads(cmd.Context(), &registrytypes.QueryUploadsRequest{Creator: creator})
	if err != nil {
		return err
	}
	from, begun := 0, false
	for _, u := range uploads.Uploads {
		if string(u.Hash) != string(hash[:]) {
			continue
		}
		if u.PackedSize != uint64(len(packed)) || u.Kind != kind {
			return fmt.Errorf("an upload of %x with other packing is open: remove it first", hash[:])
		}
		from, begun = int(u.Received), true
	}
	var sent []string
	if !begun {
		resp, err := s.send(cmd.Context(), beginGas, false, &registrytypes.MsgStoreBegin{
			Creator: creator, Kind: kind, Hash: hash[:], Size_: uint64(len(blob)),
			PackedSize: uint64(len(packed)), Chunks: uint32(len(chunks)),
		})
		if err != nil {
			return err
		}
		sent = append(sent, resp.TxHash)
	}
	for i := from; i < len(chunks); i++ {
		gas := registrytypes.ChunkGas(len(chunks[i]))
		if i == len(chunks)-1 {
			gas = last
		}
		resp, err := s.send(cmd.Context(), gas, false, &registrytypes.MsgStoreChunk{
			Creator: creator, Hash: hash[:], Index: uint32(i), Data: chunks[i],
		})
		if err != nil {
			return fmt.Errorf("chunk %d of %d: %w", i, len(chunks), err)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "chunk %d of %d: %s\n", i+1, len(chunks), resp.TxHash)
		sent = append(sent, resp.TxHash)
	}
	if noWait, _ := cmd.Flags().GetBool(flagNoWait); !noWait {
		fmt.Fprintln(cmd.ErrOrStderr(), "waiting for the blocks that hold them")
		for _, hash := range sent {
			resp, err := awaitTx(cmd.Context(), s.ctx, hash)
			if err == nil {
				err = refusal(resp)
			}
			if err != nil {
				return fmt.Errorf("%w; the same command goes on where it was cut off", err)
			}
		}
	}
	return printJSON(cmd, map[string]any{"hash": fmt.Sprintf("%x", hash[:]), "size": len(blob), "packed": len(packed), "chunks": len(chunks)})
}
