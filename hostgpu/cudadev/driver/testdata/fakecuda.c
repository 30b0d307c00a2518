// A CUDA driver without a GPU, for the tests of this package: the same
// functions with the prototypes of cuda.h (CUDA 11), which check what they are
// given as the driver does. Device memory is the process's. Work on a stream
// is done at once, unless the stream is held, so that the tests see what is
// queued and what is done.
//
//   -DVERSION=n   cuDriverGetVersion says n
//   -DOMIT_name   the function is missing
//   -DANY_KERNEL  every kernel is there and does nothing
//   -DMEMORY=n    bytes of a GPU
//
// fake_fail(name, code, nth) makes the nth call from now on fail; codes from
// 700 on stick to the context, as the driver's do.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef VERSION
#define VERSION 12040
#endif
#ifndef DEVICES
#define DEVICES 2
#endif
#define API __attribute__((visibility("default")))

typedef int CUresult;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;

struct ctx { int magic, dev, retained, sticky; unsigned flags; };
struct mod { int magic; struct ctx *c; };
struct fun { int magic, id, dynamic; struct ctx *c; };
struct str { int magic; struct ctx *c; unsigned flags; };
struct evt { int magic; struct ctx *c; unsigned flags; int recorded; float at; };

enum { CTX = 0x11c7, MOD = 0x22d0, FUN = 0x33f0, STR = 0x4457, EVT = 0x55e7 };

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static struct ctx ctxs[DEVICES];
static int initialised;
static __thread struct ctx *current;

// What the tests ask for.
static char fail_name[64];
static int fail_code, fail_nth;
API long fake_live; // allocations, host and device, streams, events, modules
#ifndef MEMORY
#define MEMORY (1 << 20)
#endif
API long fake_total = MEMORY, fake_used;
API long fake_last_grid, fake_last_shared;
API unsigned char fake_last_args[64];
API unsigned fake_flags(int dev) { return ctxs[dev].flags; }
API int fake_retained(int dev) { return ctxs[dev].retained; }
API void fake_fail(const char *name, int code, int nth) {
	snprintf(fail_name, sizeof fail_name, "%s", name);
	fail_code = code;
	fail_nth = nth;
}

static CUresult enter(const char *name, struct ctx *c) {
	CUresult r = 0;
	pthread_mutex_lock(&mu);
	if (fail_nth > 0 && strcmp(name, fail_name) == 0 && --fail_nth == 0) {
		r = fail_code;
		if (c && r >= 700) c->sticky = r;
	} else if (!initialised) {
		r = 3;
	} else if (c && c->sticky) {
		r = c->sticky;
	}
	pthread_mutex_unlock(&mu);
	return r;
}

// Every call that needs a current context says so.
#define ENTER \
	do { \
		if (!current || current->magic != CTX || !current->retained) return 201; \
		CUresult r_ = enter(__func__, current); \
		if (r_) return r_; \
	} while (0)
#define CHECK(p, m) if (!(p) || (p)->magic != (m) || (p)->c != current) return 400

static void count(long n) { __atomic_fetch_add(&fake_live, n, __ATOMIC_SEQ_CST); }

API CUresult cuInit(unsigned flags) {
	if (flags) return 1;
	initialised = 1;
	CUresult r = enter(__func__, 0);
#ifdef INIT
	r = INIT;
#endif
	return r;
}
API CUresult cuDriverGetVersion(int *v) { *v = VERSION; return 0; }
API CUresult cuDeviceGetCount(int *n) { *n = DEVICES; return enter(__func__, 0); }
API CUresult cuDeviceGet(CUdevice *d, int ordinal) {
	if (ordinal < 0 || ordinal >= DEVICES) return 101;
	*d = ordinal + 40; // a handle is not an ordinal
	return enter(__func__, 0);
}
API CUresult cuDeviceGetAttribute(int *v, int attr, CUdevice d) {
	if (d < 40) return 101;
	switch (attr) {
	case 13: *v = 1980000; break;
	case 16: *v = 132; break;
	case 20: *v = d == 41 ? 3 : 0; break;
	case 32: *v = 1; break;
	case 33: *v = 0x1b; break;
	case 34: *v = 0; break;
	case 50: *v = 0; break;
	case 36: *v = 2619000; break;
	case 37: *v = 5120; break;
	case 38: return 1; // as a driver that does not know it
	case 75: *v = 9; break;
	case 76: *v = 0; break;
	case 97: *v = 232448; break;
	default: return 1;
	}
	return 0;
}
API CUresult cuDeviceGetName(char *s, int n, CUdevice d) { snprintf(s, n, d == 41 ? "Fake MIG 1g.10gb" : "Fake H100"); return 0; }
API CUresult cuDeviceGetUuid(unsigned char *u, CUdevice d) { memset(u, 0xab, 16); return 0; }
#ifndef OMIT_cuDeviceGetUuid_v2
API CUresult cuDeviceGetUuid_v2(unsigned char *u, CUdevice d) { for (int i = 0; i < 16; i++) u[i] = i; return 0; }
#endif
API CUresult cuDeviceTotalMem_v2(size_t *n, CUdevice d) { *n = (size_t)80 << 30; return 0; }
// The older function, which a caller that forgets the version would get.
API CUresult cuDeviceTotalMem(unsigned *n, CUdevice d) { abort(); }
API CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice d, unsigned flags) { ctxs[d - 40].flags = flags; return enter(__func__, 0); }
API CUresult cuDevicePrimaryCtxRetain(struct ctx **c, CUdevice d) {
	CUresult r = enter(__func__, 0);
	if (r) return r;
	ctxs[d - 40].magic = CTX;
	ctxs[d - 40].dev = d;
	ctxs[d - 40].retained++;
	*c = &ctxs[d - 40];
	return 0;
}
API CUresult cuDevicePrimaryCtxRelease_v2(CUdevice d) {
	if (ctxs[d - 40].retained < 1) return 201;
	if (--ctxs[d - 40].retained == 0) ctxs[d - 40].sticky = 0;
	return 0;
}
API CUresult cuDevicePrimaryCtxRelease(CUdevice d) { abort(); }
API CUresult cuCtxSetCurrent(struct ctx *c) {
	if (c && c->magic != CTX) return 201;
	current = c;
	return 0;
}
API CUresult cuModuleLoadDataEx(struct mod **m, const char *image, unsigned n, int *keys, void **values) {
	ENTER;
	char *log = 0;
	for (unsigned i = 0; i < n; i++) {
		if (keys[i] == 5) log = values[i];
		if (keys[i] == 6 && (size_t)values[i] < 16) return 1;
	}
	if (strstr(image, ".version 99")) return 222;
	if (!strstr(image, ".version")) {
		if (log) strcpy(log, "ptxas fatal: no version");
		return 218;
	}
	*m = malloc(sizeof **m);
	**m = (struct mod){MOD, current};
	count(1);
	return 0;
}
API CUresult cuModuleUnload(struct mod *m) { ENTER; CHECK(m, MOD); m->magic = 0; count(-1); return 0; }
API CUresult cuModuleGetFunction(struct fun **f, struct mod *m, const char *name) {
	static struct fun funs[DEVICES][2];
	ENTER;
	CHECK(m, MOD);
#ifdef ANY_KERNEL
	int id = 1;
#else
	int id = !strcmp(name, "copy16") ? 0 : !strcmp(name, "none") ? 1 : -1;
#endif
	if (id < 0) return 500;
	*f = &funs[current->dev - 40][id];
	(*f)->magic = FUN, (*f)->id = id, (*f)->c = current;
	return 0;
}
API CUresult cuFuncGetAttribute(int *v, int attr, struct fun *f) {
	ENTER;
	CHECK(f, FUN);
	switch (attr) {
	case 0: *v = 1024; return 0;
	case 1: *v = 512; return 0;
	case 3: *v = 8; return 0;
	case 4: *v = 40; return 0;
	}
	return 1;
}
API CUresult cuFuncSetAttribute(struct fun *f, int attr, int v) {
	ENTER;
	CHECK(f, FUN);
	if (attr != 8 || v < 0 || v > 232448) return 1;
	f->dynamic = v;
	return 0;
}
API CUresult cuMemGetInfo_v2(size_t *free, size_t *total) { ENTER; *total = fake_total; *free = fake_total - fake_used; return 0; }
API CUresult cuMemGetInfo(unsigned *free, unsigned *total) { abort(); }
API CUresult cuMemAlloc_v2(CUdeviceptr *p, size_t n) {
	ENTER;
	if (n == 0) return 1;
	if ((long)n > fake_total - fake_used) return 2;
	// Allocations keep their size in front; 256 bytes aligned as the driver's.
	char *raw = aligned_alloc(256, (n + 511) & ~(size_t)255);
	*(size_t *)raw = n;
	__atomic_fetch_add(&fake_used, n, __ATOMIC_SEQ_CST);
	count(1);
	*p = (CUdeviceptr)raw + 256;
	return 0;
}
API CUresult cuMemAlloc(unsigned *p, unsigned n) { abort(); }
API CUresult cuMemFree_v2(CUdeviceptr p) {
	ENTER;
	char *raw = (char *)p - 256;
	__atomic_fetch_sub(&fake_used, *(size_t *)raw, __ATOMIC_SEQ_CST);
	count(-1);
	free(raw);
	return 0;
}
API CUresult cuMemHostAlloc(void **p, size_t n, unsigned flags) {
	ENTER;
	if (flags != 1) return 1;
	*p = malloc(n);
	count(1);
	return 0;
}
API CUresult cuMemFreeHost(void *p) { ENTER; free(p); count(-1); return 0; }
API CUresult cuStreamCreate(struct str **s, unsigned flags) {
	ENTER;
	*s = malloc(sizeof **s);
	**s = (struct str){STR, current, flags};
	count(1);
	return flags == 1 ? 0 : 1;
}
API CUresult cuStreamDestroy_v2(struct str *s) { ENTER; CHECK(s, STR); s->magic = 0; count(-1); return 0; }
API CUresult cuStreamDestroy(struct str *s) { abort(); }
API CUresult cuStreamSynchronize(struct str *s) { ENTER; CHECK(s, STR); return 0; }
API CUresult cuStreamQuery(struct str *s) { ENTER; CHECK(s, STR); return 0; }
API CUresult cuStreamWaitEvent(struct str *s, struct evt *e, unsigned flags) { ENTER; CHECK(s, STR); CHECK(e, EVT); return flags ? 1 : 0; }
API CUresult cuEventCreate(struct evt **e, unsigned flags) {
	ENTER;
	*e = malloc(sizeof **e);
	**e = (struct evt){EVT, current, flags, 0, 0};
	count(1);
	return 0;
}
API CUresult cuEventDestroy_v2(struct evt *e) { ENTER; CHECK(e, EVT); e->magic = 0; count(-1); return 0; }
API CUresult cuEventRecord(struct evt *e, struct str *s) {
	static float clock;
	ENTER;
	CHECK(e, EVT);
	CHECK(s, STR);
	e->recorded = 1;
	e->at = clock += 1.5f;
	return 0;
}
API CUresult cuEventQuery(struct evt *e) { ENTER; CHECK(e, EVT); return 0; }
API CUresult cuEventSynchronize(struct evt *e) { ENTER; CHECK(e, EVT); return 0; }
API CUresult cuEventElapsedTime(float *ms, struct evt *a, struct evt *b) {
	ENTER;
	CHECK(a, EVT);
	CHECK(b, EVT);
	if (!a->recorded || !b->recorded || a->flags & 2 || b->flags & 2) return 400;
	*ms = b->at - a->at;
	return 0;
}
API CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr d, const void *h, size_t n, struct str *s) { ENTER; CHECK(s, STR); memcpy((void *)d, h, n); return 0; }
API CUresult cuMemcpyDtoHAsync_v2(void *h, CUdeviceptr d, size_t n, struct str *s) { ENTER; CHECK(s, STR); memcpy(h, (void *)d, n); return 0; }
API CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr d, CUdeviceptr f, size_t n, struct str *s) { ENTER; CHECK(s, STR); memmove((void *)d, (void *)f, n); return 0; }
API CUresult cuMemsetD8Async(CUdeviceptr d, unsigned char v, size_t n, struct str *s) { ENTER; CHECK(s, STR); memset((void *)d, v, n); return 0; }

// The kernel copy16 has the parameter struct { u64 dst, src; u32 n, pad; }.
#ifndef OMIT_cuLaunchKernel
API CUresult cuLaunchKernel(struct fun *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
		unsigned shared, struct str *s, void **params, void **extra) {
	ENTER;
	CHECK(f, FUN);
	CHECK(s, STR);
	if (extra || !gx || !gy || !gz || bx * by * bz > 1024) return 1;
	if (shared > (unsigned)(f->dynamic > 49152 ? f->dynamic : 49152)) return 1;
	fake_last_grid = gx | gy << 8 | gz << 16;
	fake_last_shared = shared;
	if (f->id == 0) {
		if (!params || !params[0]) return 1;
		memcpy(fake_last_args, params[0], 24);
		CUdeviceptr *p = params[0];
		memcpy((void *)p[0], (void *)p[1], *(unsigned *)(p + 2));
	}
	return 0;
}
#endif
API CUresult cuGetErrorName(CUresult r, const char **s) {
	if (r != 977) return 1;
	*s = "CUDA_ERROR_FROM_THE_FUTURE";
	return 0;
}
