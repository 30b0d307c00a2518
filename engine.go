package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/wasmdev"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/recheck"
)

// engine is what executes modules in this process: one sandbox with its
// compile cache, the reference device that decides, and the native device that
// mines and serves. Nodes of one process share it; it is safe for concurrent use.
type engine struct {
	rt     *sandbox.Runtime
	wasm   device.Device
	native device.Device
	// checker decides on the reference device, one instance at a time.
	checker *recheck.Checker
	// auditing re-executes samples on reference devices of its own, one a
	// core, so that an audit's instances never take memory from a decision.
	auditing     *recheck.Checker
	auditDevices []device.Device
	decisions    *sandbox.Share // memory that only decisions use
}

// memoryBudget bounds the memories of all guests of this process together:
// half of the machine's memory, since tensors, the chain and other processes
// need theirs.
func memoryBudget() uint64 { return max(sandbox.SystemMemory()/2, 4*decisionMemory) }

// decisionMemory is the most that an instance of any admissible module takes.
var decisionMemory = uint64(meter.DefaultLimits().MemoryPages) << 16

// auditCores is how many claims an auditor re-executes at once.
func auditCores() int { return min(runtime.GOMAXPROCS(0), 8) }

func newEngine(cacheDir string) (*engine, error) {
	return newEngineOn(cacheDir, func() (device.Device, error) { return cpudev.New(cpudev.Config{}) })
}

// newEngineOn makes an engine whose native device is the one that open opens.
func newEngineOn(cacheDir string, open func() (device.Device, error)) (*engine, error) {
	rt, err := sandbox.New(sandbox.Config{CacheDir: filepath.Join(cacheDir, "wasm"), MemoryBudget: memoryBudget()})
	if err != nil {
		return nil, fmt.Errorf("start the sandbox: %w", err)
	}
	e := &engine{rt: rt}
	if e.decisions, err = rt.Reserve(decisionMemory); err != nil {
		return nil, errors.Join(fmt.Errorf("reserve memory for decisions: %w", err), e.Close())
	}
	if e.wasm, err = wasmdev.New(wasmdev.Config{Sandbox: rt}); err != nil {
		return nil, errors.Join(fmt.Errorf("open the reference device: %w", err), e.Close())
	}
	if e.native, err = open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the device that mines: %w", err), e.Close())
	}
	e.checker = recheck.New(recheck.Config{Runtime: rt, Device: e.wasm, Reserved: e.decisions, Idle: 4})
	for range auditCores() {
		dev, err := wasmdev.New(wasmdev.Config{Sandbox: rt})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open the auditor's device: %w", err), e.Close())
		}
		e.auditDevices = append(e.auditDevices, dev)
	}
	e.auditing = recheck.New(recheck.Config{Runtime: rt, Device: e.auditDevices[0], More: e.auditDevices[1:], Idle: 4 * auditCores()})
	return e, nil
}

// Close ends everything; nothing may be running.
func (e *engine) Close() error {
	var errs []error
	for _, c := range []*recheck.Checker{e.checker, e.auditing} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	for _, d := range append(e.auditDevices, e.native, e.wasm) {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	return errors.Join(append(errs, e.rt.Close())...)
}
