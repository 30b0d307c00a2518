//go:build wasip1

// Guest wasi does in infer what the request names, with the Go library, and
// prints what it saw.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"
	"unsafe"

	crand "crypto/rand"
)

//go:wasmimport assay request
func request(ptr unsafe.Pointer, n uint32) uint32

//go:wasmexport assay_abi
func assayABI() uint32 { return 1 }

//go:wasmexport infer
func infer() {
	buf := make([]byte, 100)
	args := strings.Fields(string(buf[:request(unsafe.Pointer(&buf[0]), 100)]))
	switch args[0] {
	case "sleep":
		start := time.Now()
		time.Sleep(90 * time.Minute)
		fmt.Println(start.UTC().Format(time.RFC3339), time.Since(start))
	case "timers":
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, d := range []time.Duration{30, 10, 20} {
			wg.Add(1)
			go func() {
				defer wg.Done()
				<-time.After(d * time.Second)
				mu.Lock()
				defer mu.Unlock()
				fmt.Println(int64(d))
			}()
		}
		wg.Wait()
	case "random":
		var b [16]byte
		crand.Read(b[:])
		fmt.Printf("%x %d\n", b, rand.Uint64())
	case "map":
		m := map[int]int{}
		for i := range 100 {
			m[i] = i
		}
		for k := range m {
			fmt.Print(k, " ")
		}
	case "open":
		_, err := os.Open("/etc/passwd")
		fmt.Println(err)
		_, err = os.ReadDir(".")
		fmt.Println(err != nil)
		err = os.WriteFile("x", nil, 0o600)
		fmt.Println(err != nil)
	case "env":
		fmt.Println(len(os.Args), len(os.Environ()))
		n, err := os.Stdin.Read(make([]byte, 10))
		fmt.Println(n, err)
	case "panic":
		panic("at the disco")
	case "exit":
		os.Exit(7)
	case "deep":
		fmt.Println(deep(1000))
	case "deeper":
		fmt.Println(deep(100_000))
	case "deadlock":
		select {}
	case "grow":
		var keep [][]byte
		for {
			keep = append(keep, make([]byte, 16<<20))
			keep[len(keep)-1][0] = 1
		}
	case "json":
		var v any
		err := json.Unmarshal([]byte(`{"a":[1,2.5,"x"]}`), &v)
		fmt.Println(v, err)
	default:
		fmt.Println("unknown request")
	}
}

//go:noinline
func deep(n int) int {
	if n == 0 {
		return 0
	}
	return deep(n-1) + 1
}

func main() {}
