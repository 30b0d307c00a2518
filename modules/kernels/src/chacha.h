#pragma once
#include "kernels.h"
// ChaCha20 state; the block counter is s[12].
typedef struct { u32 s[16]; } chacha;
void chacha_init(chacha *c, const u8 *key, u64 stream);
// chacha_blocks4 writes the next four blocks (256 bytes) of keystream.
void chacha_blocks4(chacha *c, u8 *out);
