package work

import (
	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
)

// AutoCLIOptions describes the commands of the module.
func (AppModule) AutoCLIOptions() *autocliv1.ModuleOptions {
	args := func(names ...string) (out []*autocliv1.PositionalArgDescriptor) {
		for _, n := range names {
			out = append(out, &autocliv1.PositionalArgDescriptor{ProtoField: n})
		}
		return out
	}
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.work.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Params", Use: "params", Short: "Parameters of channels"},
				{RpcMethod: "Channel", Use: "channel [id]", Short: "One channel", PositionalArgs: args("id")},
				{RpcMethod: "Channels", Use: "channels", Short: "Channels, of all clients or with --client of one"},
				{RpcMethod: "Receipts", Use: "receipts [epoch]", Short: "Receipts roots of an epoch", PositionalArgs: args("epoch")},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.work.v1.Msg",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "OpenChannel", Use: "open-channel [miner] [amount]", Short: "Put ngnk into escrow for a miner", PositionalArgs: args("miner", "amount")},
				{RpcMethod: "Settle", Use: "settle [channel] [epoch] [amount] [signature]", Short: "Cash a voucher", PositionalArgs: args("channel", "epoch", "amount", "signature")},
				{RpcMethod: "CloseChannel", Use: "close-channel [channel]", Short: "Close a channel", PositionalArgs: args("channel")},
				{RpcMethod: "CommitReceipts", Use: "commit-receipts [epoch] [root] [count]", Short: "Commit to the receipts of an epoch", PositionalArgs: args("epoch", "root", "count")},
				{RpcMethod: "UpdateParams", Skip: true},
			},
		},
	}
}
