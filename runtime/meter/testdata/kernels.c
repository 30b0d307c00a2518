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
