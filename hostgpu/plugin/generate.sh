#!/bin/sh
# Regenerates devicepb from proto/. It needs protoc (Debian: protobuf-compiler)
# and Go; the plugins come through Go modules at the versions named here.
set -eu
cd "$(dirname "$0")"
command -v protoc >/dev/null || {
	echo "generate.sh: protoc not found; on Debian: apt-get install protobuf-compiler" >&2
	exit 1
}
tools=$PWD/../../.cache/proto
mkdir -p "$tools"
GOBIN=$tools go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11
GOBIN=$tools go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.0
PATH=$tools:$PATH protoc -I proto \
	--go_out=devicepb --go_opt=module=github.com/assaynet/assay/hostgpu/plugin/devicepb \
	--go-grpc_out=devicepb --go-grpc_opt=module=github.com/assaynet/assay/hostgpu/plugin/devicepb \
	proto/assay/device/v1/device.proto
