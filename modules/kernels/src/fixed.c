#include "fixed.h"
#include "scales.h"

root nroot(u64 x) {
	root out;
	out.u = (62 - (i32)bitlen64(x)) >> 1;
	u64 y = out.u >= 0 ? x << (2 * out.u) : x >> 2;
	// The nearest double is within one of the root of y in [2^60, 2^62); the
	// two corrections make it the floor whatever the rounding was.
	u64 r = (u64)__builtin_sqrt((double)y);
	if (r * r > y)
		r--;
	if ((r + 1) * (r + 1) <= y)
		r++;
	out.r = (u32)r;
	return out;
}

void scales_load(scales *s, const scale *p, u32 n, u32 stride, u32 headroom) {
	i32 emin = INT32_MAX, emax = INT32_MIN;
	u32 same = 1;
	for (u32 i = 0; i < n; i++) {
		scale x = scale_load(p + i * stride);
		s->m[i] = x.m;
		s->e[i] = x.e;
		if (x.m) {
			emin = x.e < emin ? x.e : emin;
			emax = x.e > emax ? x.e : emax;
		}
		same &= x.m == s->m[0] && x.e == s->e[0];
	}
	s->emin = emin;
	s->emax = emax;
	s->same = same;
	if (emin <= emax && (u32)(emax - emin) <= headroom)
		for (u32 i = 0; i < n; i++)
			s->pow[i] = s->m[i] ? 1 << (emax - s->e[i]) : 1;
}
