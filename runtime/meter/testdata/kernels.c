// Small kernels for measuring what metering costs. Built by
//   clang-19 --target=wasm32 -O2 -msimd128 -mbulk-memory -nostdlib -fno-builtin \
//     -Wl,--no-entry -Wl,--strip-all -o kernels.wasm kernels.c
// Each takes a size and returns a checksum.
typedef unsigned char u8;
typedef signed char s8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32x4 __attribute__((vector_size(16)));
typedef float f32x4 __attribute__((vector_size(16)));
typedef double f64x2 __attribute__((vector_size(16)));
#define EXPORT(n) __attribute__((export_name(#n), noinline)) u64 n(u32 k)

static u8 mem[1 << 20] __attribute__((aligned(64)));
static u32 words[1 << 16];

static u64 rnd(u64 *s) {
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

EXPORT(crc) {
	u32 c = ~0u;
	for (u32 i = 0; i < k; i++) {
		c ^= i & 255;
		for (int b = 0; b < 8; b++) c = c >> 1 ^ (c & 1 ? 0xEDB88320u : 0);
	}
	return c;
}

EXPORT(sieve) {
	u32 n = sizeof mem, count = 0;
	for (; k; k--) {
		count = 0;
		for (u32 i = 0; i < n; i++) mem[i] = 1;
		for (u32 i = 2; i < n; i++) {
			if (!mem[i]) continue;
			count++;
			for (u32 j = 2 * i; j < n; j += i) mem[j] = 0;
		}
	}
	return count;
}

EXPORT(matmul) {
	static int a[64][64], b[64][64], c[64][64];
	u64 s = 88172645463325252ull;
	for (int i = 0; i < 64; i++)
		for (int j = 0; j < 64; j++) a[i][j] = rnd(&s) & 255, b[i][j] = rnd(&s) & 255;
	for (; k; k--)
		for (int i = 0; i < 64; i++)
			for (int j = 0; j < 64; j++) {
				int t = 0;
				for (int l = 0; l < 64; l++) t += a[i][l] * b[l][j];
				c[i][j] ^= t + k;
			}
	u64 h = 0;
	for (int i = 0; i < 64; i++) h = h * 31 + c[i][i];
	return h;
}

EXPORT(simd_dot) {
	i32x4 acc = {0};
	i32x4 *p = (i32x4 *)mem;
	for (; k; k--)
		for (u32 i = 0; i < 4096; i++) acc += p[i] * p[i] + (i32x4){1, 2, 3, 4};
	return (u32)(acc[0] ^ acc[1] ^ acc[2] ^ acc[3]);
}

EXPORT(chase) {
	u64 s = 88172645463325252ull;
	for (u32 i = 0; i < 65536; i++) words[i] = i;
	for (u32 i = 65535; i; i--) {
		u32 j = rnd(&s) % i, t = words[i];
		words[i] = words[j];
		words[j] = t;
	}
	u32 x = 0;
	for (u32 i = 0; i < k; i++) x = words[x];
	return x;
}

__attribute__((noinline)) static u32 fibonacci(u32 n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
EXPORT(fib) { return fibonacci(k); }

__attribute__((noinline)) static u32 ack(u32 m, u32 n) { return m == 0 ? n + 1 : n == 0 ? ack(m - 1, 1) : ack(m - 1, ack(m, n - 1)); }
EXPORT(ackermann) {
	u32 t = 0;
	for (; k; k--) t += ack(2, 300);
	return t;
}

EXPORT(interpreter) {
	static const u8 code[] = {0, 1, 2, 3, 4, 5, 6, 7, 2, 1, 3, 0, 5, 8};
	u32 a = 1, b = 2, c = 3, pc = 0, n = 0;
	for (;;) {
		switch (code[pc++]) {
		case 0: a += b; break;
		case 1: b ^= a << 3; break;
		case 2: c = c * 5 + a; break;
		case 3: a -= c >> 2; break;
		case 4: b += c & 0xFF; break;
		case 5: words[a & 0xFFFF] = b; break;
		case 6: c ^= words[b & 0xFFFF]; break;
		case 7: a = a << 7 | a >> 25; break;
		default:
			pc = 0;
			if (++n == k) return a ^ b ^ c;
		}
	}
}

EXPORT(copies) {
	for (u32 i = 0; i < k; i++) __builtin_memcpy(mem + (i & 255), mem + 524288, 1 + (i & 4095));
	return mem[7];
}

static void quick(u32 *a, int n) {
	while (n > 16) {
		u32 p = a[n / 2];
		int i = 0, j = n - 1;
		for (;;) {
			while (a[i] < p) i++;
			while (a[j] > p) j--;
			if (i >= j) break;
			u32 t = a[i];
			a[i++] = a[j];
			a[j--] = t;
		}
		quick(a, i);
		a += i, n -= i;
	}
	for (int i = 1; i < n; i++) {
		u32 t = a[i];
		int j = i;
		for (; j && a[j - 1] > t; j--) a[j] = a[j - 1];
		a[j] = t;
	}
}
EXPORT(sort) {
	u64 s = 88172645463325252ull;
	for (; k; k--) {
		for (u32 i = 0; i < 65536; i++) words[i] = rnd(&s);
		quick(words, 65536);
	}
	return words[77];
}

#define ROT(x, n) ((x) >> (n) | (x) << (32 - (n)))
EXPORT(sha) {
	u32 h[8] = {1, 2, 3, 4, 5, 6, 7, 8}, w[64];
	for (; k; k--) {
		for (int i = 0; i < 16; i++) w[i] = h[i & 7] + i;
		for (int i = 16; i < 64; i++)
			w[i] = w[i - 16] + (ROT(w[i - 15], 7) ^ ROT(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7] + (ROT(w[i - 2], 17) ^ ROT(w[i - 2], 19) ^ w[i - 2] >> 10);
		u32 a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], z = h[7];
		for (int i = 0; i < 64; i++) {
			u32 t = z + (ROT(e, 6) ^ ROT(e, 11) ^ ROT(e, 25)) + (g ^ (e & (f ^ g))) + w[i] + 0x428a2f98u * i;
			u32 v = (ROT(a, 2) ^ ROT(a, 13) ^ ROT(a, 22)) + ((a & b) | (c & (a | b)));
			z = g, g = f, f = e, e = d + t, d = c, c = b, b = a, a = t + v;
		}
		h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e, h[5] += f, h[6] += g, h[7] += z;
	}
	return h[0];
}

EXPORT(parse) {
	static const char text[] = "{\"a\": [1, 23, 456, 7890], \"bc\": {\"d\": 12, \"e\": [true, null, \"xyz\"]}}  ";
	u64 h = 0;
	for (; k; k--)
		for (const char *p = text; *p;) {
			if (*p == ' ') { p++; continue; }
			if (*p >= '0' && *p <= '9') {
				u32 n = 0;
				while (*p >= '0' && *p <= '9') n = n * 10 + *p++ - '0';
				h = h * 31 + n;
			} else if (*p == '"') {
				for (p++; *p != '"'; p++) h = h * 33 + *p;
				p++;
			} else h = h * 7 + *p++;
		}
	return h;
}

EXPORT(collatz) {
	u64 best = 0;
	for (u32 i = 1; i < k; i++) {
		u64 x = i, n = 0;
		while (x != 1) x = x & 1 ? 3 * x + 1 : x / 2, n++;
		if (n > best) best = n;
	}
	return best;
}

EXPORT(float_nbody) {
	double x[4] = {0, 1, 2, 3}, v[4] = {0, .1, .2, .3}, m[4] = {10, 1, 1, 1};
	for (; k; k--) {
		for (int i = 0; i < 4; i++)
			for (int j = 0; j < 4; j++) {
				double d = x[j] - x[i];
				v[i] += 0.001 * m[j] * d / (d * d * __builtin_sqrt(d * d) + 0.01);
			}
		for (int i = 0; i < 4; i++) x[i] += 0.001 * v[i];
	}
	union { double d; u64 u; } r = {x[0] + x[3]};
	return r.u;
}

EXPORT(float_mandelbrot) {
	u32 total = 0;
	for (u32 py = 0; py < k; py++)
		for (u32 px = 0; px < k; px++) {
			double cx = 3.0 * px / k - 2, cy = 2.0 * py / k - 1, x = 0, y = 0;
			int n = 0;
			for (; n < 100 && x * x + y * y < 4; n++) {
				double t = x * x - y * y + cx;
				y = 2 * x * y + cy;
				x = t;
			}
			total += n;
		}
	return total;
}

EXPORT(float_dot) {
	static float a[4096], b[4096];
	for (int i = 0; i < 4096; i++) a[i] = i, b[i] = 1.0f / (i + 1);
	float s = 0;
	for (; k; k--)
		for (int i = 0; i < 4096; i++) s = s * 0.5f + a[i] * b[i];
	return (u64)s;
}

EXPORT(float_simd) {
	static float a[4096];
	for (int i = 0; i < 4096; i++) a[i] = i;
	f32x4 s = {0};
	for (; k; k--)
		for (int i = 0; i < 1024; i++) s = s * 0.5f + ((f32x4 *)a)[i] * ((f32x4 *)a)[1023 - i];
	return (u64)(s[0] + s[1] + s[2] + s[3]);
}

EXPORT(float_saxpy) {
	static double a[4096], b[4096];
	for (int i = 0; i < 4096; i++) a[i] = i, b[i] = 1.0 / (i + 1);
	for (; k; k--)
		for (int i = 0; i < 4096; i++) b[i] = b[i] * 0.25 + a[i];
	return (u64)b[17];
}

EXPORT(bsearch) {
	u64 s = 88172645463325252ull, hits = 0;
	for (u32 i = 0; i < 1 << 16; i++) words[i] = i * 65521u;
	for (; k; k--) {
		u32 x = (u32)rnd(&s), lo = 0, hi = 1 << 16;
		while (lo < hi) {
			u32 mid = (lo + hi) / 2;
			if (words[mid] / 65521u < x >> 16) lo = mid + 1;
			else hi = mid;
		}
		hits += lo;
	}
	return hits;
}

EXPORT(hashtable) {
	u64 s = 1234567, found = 0;
	for (u32 i = 0; i < 1 << 16; i++) words[i] = 0;
	for (; k; k--) {
		u32 x = ((u32)rnd(&s) & 0x7FFF) + 1, h = x * 2654435761u >> 16;
		while (words[h] && words[h] != x) h = (h + 1) & 0xFFFF;
		found += words[h] == x;
		words[h] = x;
	}
	return found;
}

EXPORT(base64) {
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	u64 sum = 0;
	for (u32 i = 0; i < 3 << 12; i++) mem[i] = i * 31;
	for (; k; k--) {
		u8 *o = mem + (1 << 16);
		for (u32 i = 0; i < 3 << 12; i += 3, o += 4) {
			u32 v = mem[i] << 16 | mem[i + 1] << 8 | mem[i + 2];
			o[0] = set[v >> 18], o[1] = set[v >> 12 & 63], o[2] = set[v >> 6 & 63], o[3] = set[v & 63];
		}
		sum += mem[(1 << 16) + (k & 1023)];
	}
	return sum;
}

EXPORT(strings) {
	u64 at = 0;
	for (u32 i = 0; i < 1 << 15; i++) mem[i] = "abcabcabd"[i % 9];
	mem[(1 << 15) - 1] = 'z';
	static const u8 want[] = "abcabcabdz";
	for (; k; k--)
		for (u32 i = 0; i < (1 << 15) - 10; i++) {
			u32 j = 0;
			while (j < 10 && mem[i + j] == want[j]) j++;
			at += j;
		}
	return at;
}

EXPORT(bignum) {
	static u32 a[64], b[64], c[128];
	for (u32 i = 0; i < 64; i++) a[i] = i * 0x9E3779B9u, b[i] = ~a[i];
	for (; k; k--) {
		for (u32 i = 0; i < 128; i++) c[i] = 0;
		for (u32 i = 0; i < 64; i++) {
			u64 carry = 0;
			for (u32 j = 0; j < 64; j++) {
				carry += (u64)a[i] * b[j] + c[i + j];
				c[i + j] = (u32)carry;
				carry >>= 32;
			}
			c[i + 64] = (u32)carry;
		}
		a[0] += c[77];
	}
	return c[100];
}

EXPORT(queens) {
	u64 total = 0;
	for (; k; k--) {
		u32 cols[16], left[16], right[16], free[16], all = (1 << 8) - 1;
		int d = 0;
		cols[0] = left[0] = right[0] = 0, free[0] = all;
		while (d >= 0) {
			if (!free[d]) { d--; continue; }
			u32 bit = free[d] & -free[d];
			free[d] ^= bit;
			if (d == 7) { total++; continue; }
			cols[d + 1] = cols[d] | bit, left[d + 1] = (left[d] | bit) << 1, right[d + 1] = (right[d] | bit) >> 1;
			d++;
			free[d] = all & ~(cols[d] | left[d] | right[d]);
		}
	}
	return total;
}

EXPORT(life) {
	for (u32 i = 0; i < 1 << 14; i++) mem[i] = i * 2654435761u >> 31;
	u8 *from = mem, *to = mem + (1 << 14);
	for (; k; k--) {
		for (u32 y = 1; y < 127; y++)
			for (u32 x = 1; x < 127; x++) {
				u8 *p = from + y * 128 + x;
				u32 n = p[-129] + p[-128] + p[-127] + p[-1] + p[1] + p[127] + p[128] + p[129];
				to[y * 128 + x] = n == 3 || (n == 2 && *p);
			}
		u8 *t = from; from = to; to = t;
	}
	u64 alive = 0;
	for (u32 i = 0; i < 1 << 14; i++) alive += from[i];
	return alive;
}

EXPORT(simd_count) {
	typedef u8 u8x16 __attribute__((vector_size(16)));
	u8x16 *v = (u8x16 *)mem, acc = {0};
	for (u32 i = 0; i < 1 << 12; i++) mem[i] = i * 7;
	for (; k; k--)
		for (u32 i = 0; i < 256; i++) acc += (u8x16)(v[i] > (u8)k) & 3, acc ^= v[(i + 1) & 255];
	u64 s = 0;
	for (u32 i = 0; i < 16; i++) s += acc[i];
	return s;
}

static u64 (*steps[4])(u64, u32);
static u64 step0(u64 x, u32 k) { return x + k; }
static u64 step1(u64 x, u32 k) { return x ^ x << (k & 31); }
static u64 step2(u64 x, u32 k) { return x * 31 + k; }
static u64 step3(u64 x, u32 k) { return k ? steps[k & 1](x, k - 1) : x; }

EXPORT(pointers) {
	steps[0] = step0, steps[1] = step1, steps[2] = step2, steps[3] = step3;
	u64 s = 1;
	for (; k; k--) s = steps[(s >> 7 ^ k) & 3](s, k);
	return s;
}
