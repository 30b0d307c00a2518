package chaintest_test

import (
	"testing"

	"github.com/spf13/cobra"

	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
	"cosmossdk.io/client/v2/autocli"
	"cosmossdk.io/core/appmodule"

	"github.com/cosmos/cosmos-sdk/client"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"

	"github.com/assaynet/assay/chain/audit"
	"github.com/assaynet/assay/chain/internal/chaintest"
	"github.com/assaynet/assay/chain/sprint"
	"github.com/assaynet/assay/chain/work"
)

// Every described command exists: a method or field that was renamed shows here, not in a node.
func TestCommands(t *testing.T) {
	modules := map[string]appmodule.AppModule{"sprint": sprint.AppModule{}, "audit": audit.AppModule{}, "work": work.AppModule{}}
	root := &cobra.Command{Use: "assay"}
	options := autocli.AppOptions{
		Modules:               modules,
		AddressCodec:          addresscodec.NewBech32Codec(chaintest.Prefix),
		ValidatorAddressCodec: addresscodec.NewBech32Codec(chaintest.Prefix + "valoper"),
		ConsensusAddressCodec: addresscodec.NewBech32Codec(chaintest.Prefix + "valcons"),
		ClientCtx:             client.Context{}.WithInterfaceRegistry(codectypes.NewInterfaceRegistry()),
	}
	if err := options.EnhanceRootCommand(root); err != nil {
		t.Fatal(err)
	}
	for name, module := range modules {
		described := module.(interface {
			AutoCLIOptions() *autocliv1.ModuleOptions
		}).AutoCLIOptions()
		for kind, rpcs := range map[string][]*autocliv1.RpcCommandOptions{
			"query": described.Query.RpcCommandOptions, "tx": described.Tx.RpcCommandOptions,
		} {
			for _, rpc := range rpcs {
				if rpc.Skip {
					continue
				}
				c, rest, err := root.Find([]string{kind, name, firstWord(rpc.Use)})
				if err != nil || len(rest) > 0 {
					t.Errorf("assay %s %s %s: %v", kind, name, rpc.Use, err)
					continue
				}
				if c.Short != rpc.Short {
					t.Errorf("assay %s %s %s is described as %q", kind, name, rpc.Use, c.Short)
				}
			}
		}
	}
}

func firstWord(s string) string {
	for i, r := range s {
		if r == ' ' {
			return s[:i]
		}
	}
	return s
}
