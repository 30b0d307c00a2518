package audit

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
	epoch := []*autocliv1.PositionalArgDescriptor{{ProtoField: "epoch", Optional: true}}
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.audit.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Params", Use: "params", Short: "Parameters of the audit"},
				{RpcMethod: "Round", Use: "round", Short: "The running round: who draws, with which power and key"},
				{RpcMethod: "Verdicts", Use: "verdicts [epoch]", Short: "Verdicts of an epoch", PositionalArgs: epoch},
				{RpcMethod: "Reports", Use: "reports [epoch]", Short: "Reports of an epoch and their results", PositionalArgs: epoch},
				{RpcMethod: "Demands", Use: "demands", Short: "Open demands"},
				{RpcMethod: "Answers", Use: "answers [epoch] [claimant]", Short: "Units that were opened on chain", PositionalArgs: args("epoch", "claimant")},
				{RpcMethod: "Challenged", Use: "challenged [epoch]", Short: "What was drawn of the verdicts for the cross-check", PositionalArgs: epoch},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.audit.v1.Msg",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Report", Use: "report [epoch] [claimant] [index]", Short: "Accuse a unit of a claim", PositionalArgs: args("epoch", "claimant", "index")},
				{RpcMethod: "Demand", Use: "demand [epoch] [claimant] [indexes...]", Short: "Ask for units of your own draw on chain",
					PositionalArgs: append(args("epoch", "claimant"), &autocliv1.PositionalArgDescriptor{ProtoField: "indexes", Varargs: true})},
				{RpcMethod: "Answer", Use: "answer [demand] [openings...]", Short: "Open all units of a demand",
					PositionalArgs: append(args("demand"), &autocliv1.PositionalArgDescriptor{ProtoField: "openings", Varargs: true})},
				{RpcMethod: "Verdict", Use: "verdict [epoch] [round] [vrf-proof] [bitmap] [keyed-root]", Short: "Give a verdict; validators' nodes do it themselves",
					PositionalArgs: args("epoch", "round", "vrf_proof", "bitmap", "keyed_root")},
				{RpcMethod: "Challenge", Use: "challenge [epoch] [round] [vrf-proof]", Short: "Draw what to cross-check; validators' nodes do it themselves",
					PositionalArgs: args("epoch", "round", "vrf_proof")},
				{RpcMethod: "OpenKeyed", Use: "open-keyed [epoch] [round] [openings...]", Short: "Open challenged keyed digests; validators' nodes do it themselves",
					PositionalArgs: append(args("epoch", "round"), &autocliv1.PositionalArgDescriptor{ProtoField: "openings", Varargs: true})},
				{RpcMethod: "ReportKeyed", Use: "report-keyed [epoch] [round] [validator] [position]", Short: "Accuse an opened keyed digest of a verdict",
					PositionalArgs: args("epoch", "round", "validator", "position")},
				{RpcMethod: "UpdateParams", Skip: true},
			},
		},
	}
}
