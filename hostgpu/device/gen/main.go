// Command gen writes the generated tables of docs/spec/ops.md, whose path is
// its argument. Run it by "go generate ./hostgpu/device".
package main

import (
	"log"
	"os"

	"github.com/assaynet/assay/hostgpu/device"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("gen: ")
	if len(os.Args) != 2 {
		log.Fatal("want the path of ops.md")
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	out, err := device.Spec(string(text))
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[1], []byte(out), 0o644); err != nil {
		log.Fatal(err)
	}
}
