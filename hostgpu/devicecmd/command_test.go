package devicecmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/assaynet/assay/hostgpu/devices"
	"github.com/assaynet/assay/hostgpu/telemetry"
)

// The test binary is also the program that --process starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "serve" || os.Args[1] == "probe") {
		out, err := execute(os.Args[1:]...)
		os.Stdout.WriteString(out)
		if err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func execute(args ...string) (string, error) {
	cmd := New()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(os.Stderr)
	cmd.SetArgs(args)
	cmd.SilenceErrors = true
	err := cmd.Execute()
	return out.String(), err
}

func TestList(t *testing.T) {
	out, err := execute("list", "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Devices   []devices.Info
		CUDA      devices.CUDA
		Telemetry telemetry.Report
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Devices) < 2 || got.Devices[len(got.Devices)-1].Name != "wasmdev" {
		t.Errorf("devices %+v", got.Devices)
	}
	if (got.CUDA.Missing == "") == (len(got.CUDA.GPUs) == 0) {
		t.Errorf("neither a GPU nor a reason: %+v", got.CUDA)
	}
	if got.Telemetry.Note == "" && got.Telemetry.Driver == nil {
		t.Errorf("telemetry %+v", got.Telemetry)
	}
	if out, err = execute("list"); err != nil || !strings.Contains(out, "wasmdev") {
		t.Errorf("%q, %v", out, err)
	}
}

// TestCheckInProcess: a device in a process of its own gives the digest of one
// in this process.
func TestCheckInProcess(t *testing.T) {
	var digests []string
	for _, args := range [][]string{{"--device", "wasmdev"}, {"--device", "cpudev", "--process"}} {
		out, err := execute(append([]string{"check", "--output", "json"}, args...)...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		var got []checkResult
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].Cases == 0 || got[0].Failed != 0 {
			t.Errorf("%v: %+v", args, got)
		}
		digests = append(digests, got[0].Digest)
	}
	if digests[0] != digests[1] {
		t.Errorf("digests differ: %v", digests)
	}
}

func TestBench(t *testing.T) {
	out, err := execute("bench", "--device", "cpudev", "--time", "1ms", "--width", "64", "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	var got []struct {
		Device  string
		Results []Result
		Units   UnitsResult
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || len(got[0].Results) == 0 {
		t.Fatalf("%+v", got)
	}
	for _, r := range got[0].Results {
		if r.Calls < 1 || r.Nanoseconds < 1 || r.GOPS == 0 && r.GBs == 0 {
			t.Errorf("%+v measures nothing", r)
		}
	}
	if u := got[0].Units; u.Units < 1 || u.UnitsPerSecond <= 0 || u.GOPS <= 0 || u.Joules != nil {
		t.Errorf("%+v", u)
	}
}

func TestRefusals(t *testing.T) {
	for _, args := range [][]string{
		{"bench", "--output", "xml"},
		{"bench", "--time", "0s"},
		{"list", "extra"},
		{"serve", "--device", "nothing"},
	} {
		if out, err := execute(args...); err == nil {
			t.Errorf("%v: no error, %q", args, out)
		}
	}
	if _, err := execute("check", "--device", "nothing"); !errors.Is(err, devices.ErrUnknown) {
		t.Errorf("unknown device: %v", err)
	}
}

// TestDuring: what takes long says so, what is quick does not.
func TestDuring(t *testing.T) {
	var out bytes.Buffer
	want := errors.New("x")
	if err := during(&out, "quick", func() error { return want }); err != want || out.Len() != 0 {
		t.Errorf("%v, %q", err, out.String())
	}
	said := make(chan struct{})
	w := writerFunc(func(p []byte) (int, error) {
		out.Write(p)
		close(said)
		return len(p), nil
	})
	if err := during(w, "slow", func() error { <-said; return nil }); err != nil || !strings.HasPrefix(out.String(), "slow ... ") {
		t.Errorf("%v, %q", err, out.String())
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
