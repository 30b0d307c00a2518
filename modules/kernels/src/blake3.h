#pragma once
#include "kernels.h"
// blake3 hashes head (at most 64 bytes) followed by n bytes of data into 32
// bytes, in keyed mode if key is not 0.
void blake3(u8 *out, const u8 *key, const u8 *head, u32 headlen, const u8 *data, u32 n);
