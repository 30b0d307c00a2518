// Command gen writes ops.h, the prototypes of the reference kernels, to the
// path that is its argument. Run it by "go generate ./modules/kernels".
package main

import (
	"log"
	"os"

	"github.com/assaynet/assay/modules/kernels"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("gen: ")
	if len(os.Args) != 2 {
		log.Fatal("want the path of ops.h")
	}
	if err := os.WriteFile(os.Args[1], kernels.Header(), 0o644); err != nil {
		log.Fatal(err)
	}
}
