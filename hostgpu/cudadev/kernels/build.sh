#!/bin/sh
# Compiles src/ to PTX for both architectures and records the hash of what it
# compiled. Needs clang-19 (Debian package clang-19) and neither CUDA nor a GPU;
# the results are committed, so that building and running the project needs
# none of it. With an argument, writes to that folder instead of ptx/.
set -eu
cd "$(dirname "$0")"
CC=${CC:-clang-19}
out=${1:-ptx}
# The lowest PTX version that the instructions need: drivers refuse newer ones.
compile() {
	"$CC" -x cuda --cuda-device-only -nocudainc -nocudalib -std=c++17 \
		--cuda-gpu-arch="$1" -Xclang -target-feature -Xclang "+$2" -O3 -Wall -Wextra -Werror \
		-S src/assay.cu -o "$out/assay_$3.ptx"
}
compile sm_80 ptx70 sm80
compile sm_90a ptx80 sm90a
# Names and contents in byte order of the names: independent of the locale.
for f in $(ls src/* | LC_ALL=C sort); do
	printf '%s\n' "$f"
	cat "$f"
done | sha256sum | cut -d' ' -f1 > "$out/sources.sha256"
