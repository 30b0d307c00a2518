package driver

import "strconv"

// String is the name in cuda.h and the number.
func (r Result) String() string {
	name := r.info().name
	if name == "" {
		name = "CUDA_ERROR"
	}
	if r < 0 {
		return name
	}
	return name + " (" + strconv.Itoa(int(r)) + ")"
}

type resultInfo struct {
	name   string
	is     error
	sticky bool
	advice string
}

func (r Result) info() resultInfo {
	if i, ok := results[r]; ok {
		return i
	}
	return resultInfo{is: ErrCall}
}

const (
	adviceInstall = "install NVIDIA's driver; nothing else is needed. In a container: start it with the GPU, docker run --gpus all"
	adviceUpdate  = "update NVIDIA's driver: 450 or newer, 525 or newer for Hopper's own kernels"
	adviceSee     = "see nvidia-smi and CUDA_VISIBLE_DEVICES; a GPU with MIG on needs an instance: nvidia-smi mig -cgi ... -C"
	adviceMemory  = "another process may hold it, see nvidia-smi; or limit the device with --memory"
	adviceRestart = "the device process must start again, which it does by itself; if it comes back, report it with the job"
	adviceBoard   = "see nvidia-smi -q for ECC errors and remapped rows; reset the GPU; replace the board if it comes back"
	adviceDaemon  = "reboot after an update of the driver; on NVSwitch systems start nvidia-fabricmanager"
)

// results are the codes that a miner may meet (cuda.h, cudaError_enum). Which
// of them leave the context without use is what its comments there say:
// "the process must be terminated and relaunched".
var results = map[Result]resultInfo{
	noLibrary:     {"libcuda.so.1 not found", ErrNoDriver, false, adviceInstall},
	missingSymbol: {"missing function", ErrOldDriver, false, adviceUpdate},
	notBuilt:      {"no CUDA in this build", ErrNoDriver, false, "use a build for Linux on amd64 or arm64"},

	1:   {"CUDA_ERROR_INVALID_VALUE", ErrCall, false, ""},
	2:   {"CUDA_ERROR_OUT_OF_MEMORY", ErrOutOfMemory, false, adviceMemory},
	3:   {"CUDA_ERROR_NOT_INITIALIZED", ErrNoDriver, false, adviceDaemon},
	4:   {"CUDA_ERROR_DEINITIALIZED", ErrCall, true, ""},
	34:  {"CUDA_ERROR_STUB_LIBRARY", ErrNoDriver, false, "the toolkit's stub was found before the driver: correct LD_LIBRARY_PATH"},
	46:  {"CUDA_ERROR_DEVICE_UNAVAILABLE", ErrUnavailable, false, "another process holds it exclusively: nvidia-smi -c DEFAULT"},
	100: {"CUDA_ERROR_NO_DEVICE", ErrNoDevice, false, adviceSee},
	101: {"CUDA_ERROR_INVALID_DEVICE", ErrNoDevice, false, adviceSee},
	102: {"CUDA_ERROR_DEVICE_NOT_LICENSED", ErrUnavailable, false, "a vGPU without a licence"},
	200: {"CUDA_ERROR_INVALID_IMAGE", ErrImage, false, ""},
	201: {"CUDA_ERROR_INVALID_CONTEXT", ErrCall, false, ""},
	209: {"CUDA_ERROR_NO_BINARY_FOR_GPU", ErrImage, false, "needs compute capability 8.0: Ampere or newer"},
	214: {"CUDA_ERROR_ECC_UNCORRECTABLE", ErrHardware, true, adviceBoard},
	216: {"CUDA_ERROR_CONTEXT_ALREADY_IN_USE", ErrUnavailable, false, ""},
	218: {"CUDA_ERROR_INVALID_PTX", ErrImage, false, ""},
	220: {"CUDA_ERROR_NVLINK_UNCORRECTABLE", ErrHardware, true, adviceBoard},
	221: {"CUDA_ERROR_JIT_COMPILER_NOT_FOUND", ErrOldDriver, false, "libnvidia-ptxjitcompiler.so.1 is missing: install the whole driver; in a container, NVIDIA_DRIVER_CAPABILITIES=compute,utility"},
	222: {"CUDA_ERROR_UNSUPPORTED_PTX_VERSION", ErrPTXVersion, false, adviceUpdate},
	223: {"CUDA_ERROR_JIT_COMPILATION_DISABLED", ErrImage, false, "unset CUDA_DISABLE_PTX_JIT"},
	226: {"CUDA_ERROR_CONTAINED", ErrHardware, true, adviceBoard},
	304: {"CUDA_ERROR_OPERATING_SYSTEM", ErrUnavailable, false, "may this user open /dev/nvidia*? In a container, pass the devices"},
	400: {"CUDA_ERROR_INVALID_HANDLE", ErrCall, false, ""},
	401: {"CUDA_ERROR_ILLEGAL_STATE", ErrCall, false, ""},
	500: {"CUDA_ERROR_NOT_FOUND", ErrNotFound, false, ""},
	600: {"CUDA_ERROR_NOT_READY", ErrCall, false, ""},
	700: {"CUDA_ERROR_ILLEGAL_ADDRESS", ErrFault, true, adviceRestart},
	701: {"CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", ErrResources, false, ""},
	702: {"CUDA_ERROR_LAUNCH_TIMEOUT", ErrTimeout, true, "a GPU that drives a display has a watchdog: mine on another one"},
	708: {"CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE", ErrCall, false, ""},
	709: {"CUDA_ERROR_CONTEXT_IS_DESTROYED", ErrFault, true, adviceRestart},
	710: {"CUDA_ERROR_ASSERT", ErrFault, true, adviceRestart},
	714: {"CUDA_ERROR_HARDWARE_STACK_ERROR", ErrFault, true, adviceRestart},
	715: {"CUDA_ERROR_ILLEGAL_INSTRUCTION", ErrFault, true, adviceRestart},
	716: {"CUDA_ERROR_MISALIGNED_ADDRESS", ErrFault, true, adviceRestart},
	717: {"CUDA_ERROR_INVALID_ADDRESS_SPACE", ErrFault, true, adviceRestart},
	718: {"CUDA_ERROR_INVALID_PC", ErrFault, true, adviceRestart},
	719: {"CUDA_ERROR_LAUNCH_FAILED", ErrFault, true, adviceRestart},
	721: {"CUDA_ERROR_TENSOR_MEMORY_LEAK", ErrFault, true, adviceRestart},
	800: {"CUDA_ERROR_NOT_PERMITTED", ErrUnavailable, false, ""},
	801: {"CUDA_ERROR_NOT_SUPPORTED", ErrCall, false, ""},
	802: {"CUDA_ERROR_SYSTEM_NOT_READY", ErrUnavailable, false, adviceDaemon},
	803: {"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", ErrUnavailable, false, adviceDaemon},
	804: {"CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", ErrOldDriver, false, "remove the forward-compatibility package (cuda-compat) or update the driver"},
	805: {"CUDA_ERROR_MPS_CONNECTION_FAILED", ErrUnavailable, false, "stop MPS, or start its daemon"},
	806: {"CUDA_ERROR_MPS_RPC_FAILURE", ErrUnavailable, true, "stop MPS, or start its daemon"},
	807: {"CUDA_ERROR_MPS_SERVER_NOT_READY", ErrUnavailable, false, "stop MPS, or start its daemon"},
	810: {"CUDA_ERROR_MPS_CLIENT_TERMINATED", ErrFault, true, adviceRestart},
	999: {"CUDA_ERROR_UNKNOWN", ErrUnavailable, true, "reboot; after a suspend, reload the module nvidia_uvm"},
}
