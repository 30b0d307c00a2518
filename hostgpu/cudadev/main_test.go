package cudadev

import (
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
	"github.com/assaynet/assay/hostgpu/cudadev/driver/emulated"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/plugin"
)

// The test binary is its own device process. roleEnv is the fault of its first
// life, a letter and a number; lifeEnv is a file that says that there was one;
// realEnv makes it a GPU, where there is one, in place of the emulated driver.
const (
	roleEnv = "ASSAY_CUDADEV_TEST_FAULT"
	lifeEnv = "ASSAY_CUDADEV_TEST_LIFE"
	realEnv = "ASSAY_CUDADEV_TEST_REAL"
)

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		os.Exit(m.Run())
	}
	cfg := emulated.Config{SMs: 4, Memory: processMemory}
	poison := int64(0)
	if f, err := os.OpenFile(os.Getenv(lifeEnv), os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		f.Close()
		n, err := strconv.ParseInt(role[1:], 10, 64)
		if err != nil {
			panic(err)
		}
		switch role[0] {
		case 'i':
			cfg.Faults.IllegalAddress = n
		case 'h':
			cfg.Faults.Hang = n
		case 'p':
			poison = n
		}
	}
	c := Config{ScratchBytes: 1 << 20}
	if os.Getenv(realEnv) == "" {
		c.Driver = emulated.New(cfg)
	}
	b, err := NewBackend(c)
	if err != nil {
		panic(err)
	}
	plugin.Serve(plugin.ServeConfig{Backend: &poisoned{Backend: b, at: poison}})
}

// processMemory is what the GPU of the device process has.
const processMemory = 64 << 20

// poison is a kernel that writes where there is no memory.
const poison = `
.version 7.0
.target sm_80
.address_size 64

.visible .entry poison()
{
	.reg .b32 %r<2>;
	.reg .b64 %rd<2>;

	mov.u64 %rd1, 64;
	mov.u32 %r1, 1;
	st.global.u32 [%rd1], %r1;
	ret;
}
`

// poisoned launches the poison before the task with the number at.
type poisoned struct {
	*Backend
	at, tasks int64
	mu        sync.Mutex
}

func (b *poisoned) Open() (device.Queue, error) {
	q, err := b.Backend.Open()
	if err != nil {
		return nil, err
	}
	return &poisonedQueue{q.(*queue), b}, nil
}

type poisonedQueue struct {
	*queue
	b *poisoned
}

func (q *poisonedQueue) Run(t *device.Task) error {
	q.b.mu.Lock()
	q.b.tasks++
	now := q.b.tasks == q.b.at
	q.b.mu.Unlock()
	if now {
		if err := q.poison(); err != nil {
			return q.b.fail(err)
		}
	}
	return q.queue.Run(t)
}

func (q *poisonedQueue) poison() error {
	m, err := q.b.ctx.Load([]byte(poison))
	if err != nil {
		return err
	}
	f, err := m.Function("poison")
	if err != nil {
		return err
	}
	return q.line.stream.Launch([]driver.Launch{{Function: f, Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{1, 1, 1}}})
}
