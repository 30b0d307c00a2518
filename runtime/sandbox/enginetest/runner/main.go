// Command runner is an engine in a process: wazero's compiler or interpreter
// for whatever machine it is built for.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/assaynet/assay/runtime/sandbox/enginetest"
)

func main() {
	interpreter := flag.Bool("interpreter", false, "use the interpreter")
	flag.Parse()
	if err := serve(*interpreter); err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		os.Exit(1)
	}
}

func serve(interpreter bool) error {
	e, err := enginetest.NewWazero(interpreter)
	if err != nil {
		return err
	}
	defer e.Close()
	return enginetest.Serve(e, os.Stdin, os.Stdout)
}
