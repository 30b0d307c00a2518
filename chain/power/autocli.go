package power

import (
	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
)

// AutoCLIOptions describes the commands that are made from the services.
func (AppModule) AutoCLIOptions() *autocliv1.ModuleOptions {
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.power.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Params", Use: "params", Short: "Show the parameters"},
				{RpcMethod: "Miners", Use: "miners", Short: "List the registered miners"},
				{
					RpcMethod: "Miner", Use: "miner [operator]", Short: "Show a miner, its weight and its power",
					PositionalArgs: []*autocliv1.PositionalArgDescriptor{{ProtoField: "operator"}},
				},
				{RpcMethod: "Powers", Use: "powers", Short: "Show the validators of an epoch's audit"},
				{RpcMethod: "Weights", Use: "weights", Short: "List the governance weights"},
				{RpcMethod: "Validators", Use: "validators", Short: "Show the current validator set"},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.power.v1.Msg",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Register", Skip: true}, // the register command makes keys and proofs
				{RpcMethod: "UpdateParams", Skip: true},
			},
		},
	}
}
