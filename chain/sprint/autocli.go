package sprint

import (
	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
)

// AutoCLIOptions describes the commands of the module.
func (AppModule) AutoCLIOptions() *autocliv1.ModuleOptions {
	arg := func(name string) *autocliv1.PositionalArgDescriptor {
		return &autocliv1.PositionalArgDescriptor{ProtoField: name}
	}
	optional := func(name string) *autocliv1.PositionalArgDescriptor {
		return &autocliv1.PositionalArgDescriptor{ProtoField: name, Optional: true}
	}
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.sprint.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Params", Use: "params", Short: "Parameters of the next epoch"},
				{RpcMethod: "Epoch", Use: "epoch", Short: "The running epoch: phase, deadlines, seed, module"},
				{RpcMethod: "Claims", Use: "claims [epoch]", Short: "Claims of an epoch, the running one by default", PositionalArgs: []*autocliv1.PositionalArgDescriptor{optional("epoch")}},
				{RpcMethod: "Claim", Use: "claim [epoch] [miner]", Short: "One miner's claim", PositionalArgs: []*autocliv1.PositionalArgDescriptor{arg("epoch"), arg("miner")}},
				{RpcMethod: "Settlement", Use: "settlement [epoch]", Short: "Who was paid what in an epoch, the last settled one by default", PositionalArgs: []*autocliv1.PositionalArgDescriptor{optional("epoch")}},
				{RpcMethod: "Reserve", Use: "reserve", Short: "The reserve, what was emitted, and what is vesting"},
				{RpcMethod: "Vesting", Use: "vesting [owner]", Short: "Rewards that are not released yet", PositionalArgs: []*autocliv1.PositionalArgDescriptor{arg("owner")}},
				{RpcMethod: "Late", Use: "late", Short: "Which late extensions this node saw in time"},
				{RpcMethod: "Emission", Use: "emission [epoch]", Short: "What an epoch mints", PositionalArgs: []*autocliv1.PositionalArgDescriptor{arg("epoch")}},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.sprint.v1.Msg",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "CommitWork", Use: "commit-work [epoch] [root] [count]", Short: "Claim work or extend the claim", PositionalArgs: []*autocliv1.PositionalArgDescriptor{arg("epoch"), arg("root"), arg("count")}},
				{RpcMethod: "UpdateParams", Skip: true},
			},
		},
	}
}
