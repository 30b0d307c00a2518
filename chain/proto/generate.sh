#!/bin/sh
# Regenerates the Go code of every proto file below chain/proto/assay.
# It needs protoc (Debian: protobuf-compiler) and Go; the two plugins and the imported
# proto files come through Go modules, at the versions named here and in go.mod.
set -eu

cd "$(dirname "$0")/../.."
root=$PWD
module=github.com/assaynet/assay

# The plugin must match the gogoproto runtime in go.mod; the gateway is the last of its
# first major version, which is the one that the Cosmos SDK serves.
gateway_version=v1.16.0

command -v protoc >/dev/null || {
	echo "generate.sh: protoc not found; on Debian: apt-get install protobuf-compiler" >&2
	exit 1
}

tools=$root/.cache/proto
mkdir -p "$tools"
version() { go list -m -f '{{.Version}}' "$1"; }
dir() { go mod download "$1@$2" && go list -m -f '{{.Dir}}' "$1@$2"; }
plugin() { # name, package, version
	if [ ! -x "$tools/$1" ] || [ "$(cat "$tools/$1.version" 2>/dev/null)" != "$3" ]; then
		GOBIN=$tools go install "$2/$1@$3"
		echo "$3" >"$tools/$1.version"
	fi
}

gogo=$(version github.com/cosmos/gogoproto)
plugin protoc-gen-gocosmos github.com/cosmos/gogoproto "$gogo"
plugin protoc-gen-grpc-gateway github.com/grpc-ecosystem/grpc-gateway "$gateway_version"

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

PATH=$tools:$PATH
export PATH
sdk=$(dir github.com/cosmos/cosmos-sdk "$(version github.com/cosmos/cosmos-sdk)")
gogodir=$(dir github.com/cosmos/gogoproto "$gogo")
cosmos=$(dir github.com/cosmos/cosmos-proto "$(version github.com/cosmos/cosmos-proto)")
gateway=$(dir github.com/grpc-ecosystem/grpc-gateway "$gateway_version")

for folder in $(find chain/proto/assay -name '*.proto' -exec dirname {} \; | sort -u); do
	protoc \
		-I chain/proto \
		-I "$sdk/proto" \
		-I "$gogodir" \
		-I "$gogodir/protobuf" \
		-I "$cosmos/proto" \
		-I "$gateway/third_party/googleapis" \
		--gocosmos_out="plugins=grpc,Mgoogle/protobuf/any.proto=github.com/cosmos/gogoproto/types/any:$out" \
		--grpc-gateway_out="logtostderr=true,allow_colon_final_segments=true:$out" \
		"$folder"/*.proto
done

# Stale output of removed files must not survive.
find chain -name '*.pb.go' -delete
find chain -name '*.pb.gw.go' -delete
cp -R "$out/$module/." "$root/"
