#!/bin/sh
# Rebuilds the guests that modules/catalog embeds, with the maximum of memory
# that their manifests state, then the manifests and the integer model. Bytes depend on the Go release alone, which catalog/toolchain.txt
# records; the reference kernels have a script of their own.
set -eu
cd "$(dirname "$0")"
out=${1:-catalog}
for m in transformerpow hashpow llama; do
	env GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 GOFLAGS= GOWASM= GOEXPERIMENT= GOTOOLCHAIN=local \
		go build -buildmode=c-shared -trimpath -buildvcs=false -ldflags="-s -w -buildid=" -o "$out/$m.wasm" "./$m"
done
if [ "$out" = catalog ]; then
	go env GOVERSION >catalog/toolchain.txt
fi
go run ./catalog/gen "$out"
