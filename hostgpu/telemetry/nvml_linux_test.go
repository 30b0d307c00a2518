//go:build cgo

package telemetry

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
)

type fakeLibrary struct{ devices []nvml.Device }

func (l fakeLibrary) SystemGetDriverVersion() (string, nvml.Return) { return "570.1", nvml.SUCCESS }
func (l fakeLibrary) SystemGetCudaDriverVersion() (int, nvml.Return) {
	return 0, nvml.ERROR_NOT_SUPPORTED
}
func (l fakeLibrary) DeviceGetCount() (int, nvml.Return) { return len(l.devices), nvml.SUCCESS }
func (l fakeLibrary) DeviceGetHandleByIndex(i int) (nvml.Device, nvml.Return) {
	if l.devices[i] == nil {
		return nil, nvml.ERROR_GPU_IS_LOST
	}
	return l.devices[i], nvml.SUCCESS
}
func (l fakeLibrary) Shutdown() nvml.Return { return nvml.SUCCESS }

// partial is a GPU that knows some of the fields. Functions that are not set
// panic, which stands for a driver that lacks the symbol.
func partial() nvml.Device {
	return &mock.Device{
		GetNameFunc:       func() (string, nvml.Return) { return "Example", nvml.SUCCESS },
		GetUUIDFunc:       func() (string, nvml.Return) { return "", nvml.ERROR_NO_PERMISSION },
		GetMemoryInfoFunc: func() (nvml.Memory, nvml.Return) { return nvml.Memory{Total: 80, Used: 3}, nvml.SUCCESS },
		GetPowerUsageFunc: func() (uint32, nvml.Return) { return 350_000, nvml.SUCCESS },
		GetCurrentClocksEventReasonsFunc: func() (uint64, nvml.Return) {
			return nvml.ClocksEventReasonSwPowerCap | nvml.ClocksThrottleReasonHwThermalSlowdown | nvml.ClocksEventReasonGpuIdle, nvml.SUCCESS
		},
		GetEccModeFunc: func() (nvml.EnableState, nvml.EnableState, nvml.Return) {
			return nvml.FEATURE_ENABLED, nvml.FEATURE_ENABLED, nvml.SUCCESS
		},
		GetTotalEccErrorsFunc: func(t nvml.MemoryErrorType, _ nvml.EccCounterType) (uint64, nvml.Return) {
			if t == nvml.MEMORY_ERROR_TYPE_UNCORRECTED {
				return 2, nvml.SUCCESS
			}
			return 0, nvml.ERROR_NOT_SUPPORTED
		},
		GetMigModeFunc:           func() (int, int, nvml.Return) { return nvml.DEVICE_MIG_ENABLE, 0, nvml.SUCCESS },
		GetMaxMigDeviceCountFunc: func() (int, nvml.Return) { return 2, nvml.SUCCESS },
		GetMigDeviceHandleByIndexFunc: func(i int) (nvml.Device, nvml.Return) {
			if i == 0 {
				return nil, nvml.ERROR_NOT_FOUND
			}
			return &mock.Device{
				GetUUIDFunc:       func() (string, nvml.Return) { return "MIG-1", nvml.SUCCESS },
				GetNameFunc:       func() (string, nvml.Return) { return "", nvml.ERROR_NOT_SUPPORTED },
				GetMemoryInfoFunc: func() (nvml.Memory, nvml.Return) { return nvml.Memory{Total: 10}, nvml.SUCCESS },
			}, nvml.SUCCESS
		},
	}
}

func reader(devices ...nvml.Device) *NVML {
	known := []string{"nvmlDeviceGetName", "nvmlDeviceGetUUID", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetPowerUsage",
		"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetEccMode", "nvmlDeviceGetTotalEccErrors", "nvmlDeviceGetMigMode", "nvmlDeviceGetMaxMigDeviceCount", "nvmlDeviceGetMigDeviceHandleByIndex"}
	return &NVML{lib: fakeLibrary{devices}, has: func(s string) bool { return strings.Contains(strings.Join(known, " ")+" ", s+" ") }}
}

// TestEveryFieldOptional: what the driver lacks or refuses is missing, the rest
// is reported, and a lost GPU does not hide the others.
func TestEveryFieldOptional(t *testing.T) {
	r := reader(nil, partial()).Read()
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"driver":"570.1","gpus":[{"index":0},{"index":1,"name":"Example","memory_total_bytes":80,"memory_used_bytes":3,` +
		`"power_mw":350000,"throttle":["power cap","hardware thermal"],"runs_freely":false,"ecc":true,"ecc_uncorrected":2,` +
		`"mig":true,"instances":[{"uuid":"MIG-1","memory_total_bytes":10,"memory_used_bytes":0}]}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var back Report
	if err := json.Unmarshal(got, &back); err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("report does not survive JSON: %v", err)
	}
}

func TestClosedReader(t *testing.T) {
	r := reader(partial())
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if got := r.Read(); len(got.GPUs) != 0 {
		t.Errorf("a closed reader reports %+v", got)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
