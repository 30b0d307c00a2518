package registry

import (
	autocliv1 "cosmossdk.io/api/cosmos/autocli/v1"
)

// AutoCLIOptions describes the commands that are made from the services.
func (AppModule) AutoCLIOptions() *autocliv1.ModuleOptions {
	arg := func(name string) []*autocliv1.PositionalArgDescriptor {
		return []*autocliv1.PositionalArgDescriptor{{ProtoField: name}}
	}
	return &autocliv1.ModuleOptions{
		Query: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.registry.v1.Query",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				{RpcMethod: "Params", Use: "params", Short: "Show the parameters"},
				{RpcMethod: "Blob", Use: "blob [hash]", Short: "Show a module or model; the hash is hex or base64", PositionalArgs: arg("hash")},
				{RpcMethod: "Blobs", Use: "blobs", Short: "List the modules and models"},
				{RpcMethod: "Uploads", Use: "uploads [creator]", Short: "List the unfinished uploads of an account", PositionalArgs: arg("creator")},
				{RpcMethod: "Active", Use: "active", Short: "Show what is active and what waits for the next epoch"},
			},
		},
		Tx: &autocliv1.ServiceCommandDescriptor{
			Service: "assay.registry.v1.Msg",
			RpcCommandOptions: []*autocliv1.RpcCommandOptions{
				// The store command cuts a file into these messages.
				{RpcMethod: "StoreBegin", Skip: true},
				{RpcMethod: "StoreChunk", Skip: true},
				{RpcMethod: "StoreRemove", Use: "remove [hash]", Short: "Give up an upload or prune a blob", PositionalArgs: arg("hash")},
				{RpcMethod: "Activate", Skip: true},
				{RpcMethod: "UpdateParams", Skip: true},
			},
		},
	}
}
