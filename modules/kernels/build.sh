#!/bin/sh
# Rebuilds kernels.wasm and its hash from src/. Needs clang-19 and wasm-ld-19
# (Debian packages clang-19 and lld-19); the result is committed, so that
# building and running the project needs neither.
set -eu
cd "$(dirname "$0")"
CC=${CC:-clang-19}
LD=${LD:-$(command -v wasm-ld-19)}
out=${1:-kernels.wasm}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for f in src/*.c; do
	"$CC" --target=wasm32 -std=c17 -O3 -msimd128 -mbulk-memory -msign-ext -mno-relaxed-simd \
		-ffreestanding -nostdlib -ffp-contract=off -Wall -Wextra -Werror \
		-c "$f" -o "$tmp/$(basename "$f" .c).o"
done
# Objects in byte order of their names, so that the layout does not depend on
# the locale.
"$LD" --no-entry --export=__heap_base --stack-first -z stack-size=65536 --strip-all \
	-o "$out" $(ls "$tmp"/*.o | LC_ALL=C sort)
sha256sum < "$out" | cut -d' ' -f1 > "$out.sha256"
