//go:build linux && (amd64 || arm64)

package driver

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Names are where Open looks for the driver, in this order. WSL keeps it
// outside the linker's path.
var Names = []string{"libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"}

// symbols of the driver, by the name with the version that cuda.h of CUDA 11
// gives them: the unversioned name is an older function with other types.
// Those after firstOptional may be missing.
const (
	cuInit = iota
	cuDriverGetVersion
	cuDeviceGetCount
	cuDeviceGet
	cuDeviceGetAttribute
	cuDeviceGetName
	cuDeviceGetUuid
	cuDeviceTotalMem
	cuDevicePrimaryCtxRetain
	cuDevicePrimaryCtxRelease
	cuDevicePrimaryCtxSetFlags
	cuCtxSetCurrent
	cuModuleLoadDataEx
	cuModuleUnload
	cuModuleGetFunction
	cuFuncGetAttribute
	cuFuncSetAttribute
	cuMemGetInfo
	cuMemAlloc
	cuMemFree
	cuMemHostAlloc
	cuMemFreeHost
	cuMemcpyHtoDAsync
	cuMemcpyDtoHAsync
	cuMemcpyDtoDAsync
	cuMemsetD8Async
	cuStreamCreate
	cuStreamDestroy
	cuStreamSynchronize
	cuStreamQuery
	cuStreamWaitEvent
	cuEventCreate
	cuEventDestroy
	cuEventRecord
	cuEventQuery
	cuEventSynchronize
	cuEventElapsedTime
	cuLaunchKernel

	firstOptional
	cuGetErrorName = iota - 1
	cuDeviceGetUuidV2
	symbolCount
)

var symbols = [symbolCount]string{
	cuInit: "cuInit", cuDriverGetVersion: "cuDriverGetVersion",
	cuDeviceGetCount: "cuDeviceGetCount", cuDeviceGet: "cuDeviceGet", cuDeviceGetAttribute: "cuDeviceGetAttribute",
	cuDeviceGetName: "cuDeviceGetName", cuDeviceGetUuid: "cuDeviceGetUuid", cuDeviceTotalMem: "cuDeviceTotalMem_v2",
	cuDevicePrimaryCtxRetain: "cuDevicePrimaryCtxRetain", cuDevicePrimaryCtxRelease: "cuDevicePrimaryCtxRelease_v2",
	cuDevicePrimaryCtxSetFlags: "cuDevicePrimaryCtxSetFlags_v2", cuCtxSetCurrent: "cuCtxSetCurrent",
	cuModuleLoadDataEx: "cuModuleLoadDataEx", cuModuleUnload: "cuModuleUnload", cuModuleGetFunction: "cuModuleGetFunction",
	cuFuncGetAttribute: "cuFuncGetAttribute", cuFuncSetAttribute: "cuFuncSetAttribute",
	cuMemGetInfo: "cuMemGetInfo_v2", cuMemAlloc: "cuMemAlloc_v2", cuMemFree: "cuMemFree_v2",
	cuMemHostAlloc: "cuMemHostAlloc", cuMemFreeHost: "cuMemFreeHost",
	cuMemcpyHtoDAsync: "cuMemcpyHtoDAsync_v2", cuMemcpyDtoHAsync: "cuMemcpyDtoHAsync_v2", cuMemcpyDtoDAsync: "cuMemcpyDtoDAsync_v2",
	cuMemsetD8Async: "cuMemsetD8Async",
	cuStreamCreate:  "cuStreamCreate", cuStreamDestroy: "cuStreamDestroy_v2", cuStreamSynchronize: "cuStreamSynchronize",
	cuStreamQuery: "cuStreamQuery", cuStreamWaitEvent: "cuStreamWaitEvent",
	cuEventCreate: "cuEventCreate", cuEventDestroy: "cuEventDestroy_v2", cuEventRecord: "cuEventRecord",
	cuEventQuery: "cuEventQuery", cuEventSynchronize: "cuEventSynchronize", cuEventElapsedTime: "cuEventElapsedTime",
	cuLaunchKernel: "cuLaunchKernel",
	cuGetErrorName: "cuGetErrorName", cuDeviceGetUuidV2: "cuDeviceGetUuid_v2",
}

// library is a loaded driver. It is never unloaded: its threads would be.
type library struct {
	fn      [symbolCount]uintptr
	version int
	count   int
}

// Open loads and initialises the driver from the first of names that exists;
// no names are Names. ErrNoDriver, ErrOldDriver, ErrNoDevice, ErrUnavailable.
func Open(names ...string) (Driver, error) {
	if len(names) == 0 {
		names = Names
	}
	var handle uintptr
	why := "" // of the usual place
	for _, n := range names {
		h, err := purego.Dlopen(n, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err == nil {
			handle = h
			break
		}
		if why == "" {
			why = strings.TrimSpace(err.Error())
		}
	}
	if handle == 0 {
		return nil, &Error{Result: noLibrary, Detail: why}
	}
	l := &library{}
	for i, name := range symbols {
		p, err := purego.Dlsym(handle, name)
		if err != nil && i < firstOptional {
			return nil, &Error{Call: name, Result: missingSymbol}
		}
		l.fn[i] = p
	}
	if err := l.check(cuInit, l.call(cuInit, 0)); err != nil {
		return nil, err
	}
	var version, count int32
	if err := l.check(cuDriverGetVersion, l.call(cuDriverGetVersion, uintptr(unsafe.Pointer(&version)))); err != nil {
		return nil, err
	}
	l.version = int(version)
	if l.version < MinVersion {
		return nil, &Error{Result: missingSymbol, Detail: fmt.Sprintf("it speaks CUDA %s, 11.0 is needed", VersionString(l.version))}
	}
	if err := l.check(cuDeviceGetCount, l.call(cuDeviceGetCount, uintptr(unsafe.Pointer(&count)))); err != nil {
		return nil, err
	}
	if count < 1 {
		return nil, &Error{Call: symbols[cuDeviceGetCount], Result: NoDevice}
	}
	l.count = int(count)
	return l, nil
}

// call calls a function of the driver. Pointers converted in its argument list
// stay alive and in place until it returns.
//
//go:uintptrescapes
func (l *library) call(fn int, args ...uintptr) Result {
	r, _, _ := purego.SyscallN(l.fn[fn], args...)
	return Result(int32(uint32(r))) // a C int: the register's upper half is anything
}

// callSlice is call for arguments that hold no address of Go's memory but the
// heap's, which the caller keeps alive: it does not allocate.
func (l *library) callSlice(fn int, args []uintptr) Result {
	r, _, _ := purego.SyscallN(l.fn[fn], args...)
	return Result(int32(uint32(r)))
}

// check makes an error of a result.
func (l *library) check(fn int, r Result) error {
	if r == Success {
		return nil
	}
	e := &Error{Call: symbols[fn], Result: r}
	if _, ok := results[r]; !ok {
		e.Detail = l.errorName(r)
	}
	return e
}

// errorName asks the driver for the name of a code that this package does not know.
func (l *library) errorName(r Result) string {
	var name *byte
	if l.fn[cuGetErrorName] == 0 || l.call(cuGetErrorName, uintptr(r), uintptr(unsafe.Pointer(&name))) != Success || name == nil {
		return ""
	}
	return cString(unsafe.Slice(name, cLength(name)))
}

// maxName bounds a string of the driver.
const maxName = 256

func cLength(p *byte) int {
	n := 0
	for n < maxName && *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return n
}

// cString is the text up to the first zero byte.
func cString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

func (l *library) Version() int { return l.version }
func (l *library) Count() int   { return l.count }

// Device attributes, numbered as in cuda.h (CUdevice_attribute).
const (
	attrClockRate        = 13
	attrMultiprocessors  = 16
	attrComputeMode      = 20
	attrECC              = 32
	attrPCIBus           = 33
	attrPCIDevice        = 34
	attrMemoryClock      = 36
	attrMemoryBus        = 37
	attrL2               = 38
	attrPCIDomain        = 50
	attrMajor            = 75
	attrMinor            = 76
	attrSharedOptin      = 97
	computeModeExclusive = 3
)

func (l *library) Info(ordinal int) (Info, error) {
	i := Info{Ordinal: ordinal}
	var dev int32
	if err := l.check(cuDeviceGet, l.call(cuDeviceGet, uintptr(unsafe.Pointer(&dev)), uintptr(ordinal))); err != nil {
		return i, err
	}
	var failed error
	attr := func(a int) int {
		var v int32
		r := l.call(cuDeviceGetAttribute, uintptr(unsafe.Pointer(&v)), uintptr(a), uintptr(dev))
		if r == InvalidValue { // an attribute that this driver does not know
			return 0
		}
		failed = errors.Join(failed, l.check(cuDeviceGetAttribute, r))
		return int(v)
	}
	i.Major, i.Minor, i.SMs = attr(attrMajor), attr(attrMinor), attr(attrMultiprocessors)
	i.SharedPerBlock, i.L2, i.ClockKHz = attr(attrSharedOptin), attr(attrL2), attr(attrClockRate)
	i.MemoryPeak = int64(attr(attrMemoryClock)) * 1000 * 2 * int64(attr(attrMemoryBus)) / 8
	i.ECC, i.Exclusive = attr(attrECC) != 0, attr(attrComputeMode) == computeModeExclusive
	i.PCI = fmt.Sprintf("%04x:%02x:%02x.0", attr(attrPCIDomain), attr(attrPCIBus), attr(attrPCIDevice))
	if failed != nil {
		return i, failed
	}
	var name [maxName]byte
	if err := l.check(cuDeviceGetName, l.call(cuDeviceGetName, uintptr(unsafe.Pointer(&name[0])), maxName, uintptr(dev))); err != nil {
		return i, err
	}
	i.Name = cString(name[:])
	var total uintptr
	if err := l.check(cuDeviceTotalMem, l.call(cuDeviceTotalMem, uintptr(unsafe.Pointer(&total)), uintptr(dev))); err != nil {
		return i, err
	}
	i.Memory = int64(total)
	var id [16]byte
	fn, prefix := cuDeviceGetUuid, "GPU-"
	if l.fn[cuDeviceGetUuidV2] != 0 {
		fn = cuDeviceGetUuidV2 // tells an instance's own where the GPU is split
	}
	if err := l.check(fn, l.call(fn, uintptr(unsafe.Pointer(&id[0])), uintptr(dev))); err != nil {
		return i, err
	}
	if strings.Contains(i.Name, " MIG ") {
		prefix = "MIG-"
	}
	i.UUID = fmt.Sprintf("%s%x-%x-%x-%x-%x", prefix, id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	return i, nil
}
