#!/bin/sh
# Rebuilds guest.wasm; needs clang-19 and lld-19 (Debian packages). The result
# is committed, so that the tests need neither.
set -eu
cd "$(dirname "$0")"
clang-19 --target=wasm32 -std=c17 -O2 -ffreestanding -nostdlib -Wall -Wextra -Werror \
	-fuse-ld="$(command -v wasm-ld-19)" -I ../../../../../sdk/guest -Wl,--no-entry -Wl,--strip-all -o guest.wasm guest.c
