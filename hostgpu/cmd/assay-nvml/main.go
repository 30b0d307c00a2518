// Command assay-nvml prints the state of the machine's NVIDIA GPUs as JSON, a
// line for each line that it reads, until there are no more. NVML needs cgo and
// may end the process that calls it, so that device binaries, which have
// neither, start this one from beside themselves (package telemetry).
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/assaynet/assay/hostgpu/telemetry"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	reader, note := telemetry.OpenNVML()
	if note == nil {
		defer reader.Close()
	}
	out := json.NewEncoder(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		r := telemetry.Report{}
		if note != nil {
			r.Note = note.Error()
		} else {
			r = reader.Read()
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
	return nil
}
