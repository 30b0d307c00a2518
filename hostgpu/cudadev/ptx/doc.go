// Package ptx runs NVIDIA PTX text on the processor: a parser and a SIMT
// emulator, so that the very text which a driver compiles on a miner's GPU can
// be run, and its bits compared, by everyone.
//
// Parse reads a module; whatever it does not know (a directive, an instruction,
// a modifier, an operand form, an instruction that the text's .version or
// .target has not) is an error that names the line, never a guess. A Machine
// owns device memory and runs kernels by the rules of NVIDIA's "Parallel Thread
// Execution ISA"; comments name its sections ("PTX ISA: mad"). It knows the
// integer instructions, shared, local, constant and generic memory, atomics,
// barriers, shuffles and votes, cp.async, ldmatrix, mma.sync on bytes,
// mbarriers, and wgmma on bytes with every swizzle. It does not know floating
// point, textures, clusters, bulk copies, indirect calls and recursion.
//
// What PTX leaves open is chosen so that a mistake shows: the order of blocks,
// warps and lanes is drawn from Checks.Order; cp.async and wgmma happen
// as late as their waits permit; shared memory and registers begin with a
// pattern that is not zero; addresses are never used twice. Checks adds what
// compute-sanitizer looks for on a GPU: reads of what was never written, races
// on shared memory by vector clocks (also through the asynchronous proxy, and
// registers that wgmma holds), barriers that threads miss. Bounds, alignment
// and freed memory are always checked.
//
// What an emulator cannot show:
//   - speed, occupancy, limits on registers, power;
//   - anything that depends on the weakness of the memory model between blocks:
//     global memory here is stronger than a GPU's, and races on it are not
//     looked for: they show as results that depend on Checks.Order, if at all;
//   - faults of the driver's compiler, or of hardware;
//   - that an order between threads made by atomics or flags in shared memory is
//     right: only barriers and waits order for Checks.Race, so it refuses such
//     kernels rather than judging them.
//
// The package must not know what the kernels compute, who launches them, or
// that a driver exists.
package ptx
