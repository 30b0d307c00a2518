//go:build wasip1

// Command guest is a stock Go module that uses large parts of the standard
// library: the profile must admit it.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"text/template"
)

func main() {}

//go:wasmexport work
func work(n int32) int64 {
	type item struct {
		Name string
		Tags []string
		N    float64
	}
	var items []item
	for i := range n {
		items = append(items, item{Name: fmt.Sprintf("item-%d", i*7919%int32(n)), Tags: strings.Split("a,b,c", ","), N: float64(i) / 3})
	}
	sort.Slice(items, func(i, j int) bool { return items[i].Name < items[j].Name })
	b, err := json.Marshal(items)
	if err != nil {
		return -1
	}
	var back []item
	if json.Unmarshal(b, &back) != nil {
		return -2
	}
	re := regexp.MustCompile(`item-(\d+)[^}]*?"N":([0-9.]+)`)
	m := re.FindAllStringSubmatch(string(b), -1)
	var out bytes.Buffer
	t := template.Must(template.New("x").Parse(`{{range .}}{{index . 1}}={{index . 2}};{{end}}`))
	if t.Execute(&out, m) != nil {
		return -3
	}
	var h int64 = 1469598103934665603
	for _, c := range out.Bytes() {
		h = (h ^ int64(c)) * 1099511628211
	}
	return h
}

//go:wasmexport sorting
func sorting(n int32) int64 {
	a := make([]int, n)
	x := uint64(88172645463325252)
	for i := range a {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		a[i] = int(x % 1000003)
	}
	sort.Ints(a)
	var h int64
	for i, v := range a {
		h = h*31 + int64(v*(i&7))
	}
	return h
}

//go:wasmexport sieve
func sieve(n int32) int64 {
	composite := make([]bool, n)
	var count int64
	for i := 2; i < int(n); i++ {
		if composite[i] {
			continue
		}
		count++
		for j := 2 * i; j < int(n); j += i {
			composite[j] = true
		}
	}
	return count
}

type node struct{ left, right *node }

func tree(d int32) *node {
	if d == 0 {
		return &node{}
	}
	return &node{tree(d - 1), tree(d - 1)}
}

func (n *node) count() int64 {
	if n.left == nil {
		return 1
	}
	return 1 + n.left.count() + n.right.count()
}

//go:wasmexport trees
func trees(d int32) int64 { return tree(d).count() }

//go:wasmexport hashing
func hashing(n int32) int64 {
	sum := sha256.Sum256(nil)
	for range n {
		sum = sha256.Sum256(sum[:])
	}
	return int64(binary.LittleEndian.Uint64(sum[:]))
}

func down(n int32) int64 {
	if n == 0 {
		return 0
	}
	return int64(n&3) + down(n-1)
}

// deep recurses further than the logical stack admits in one go: a goroutine
// starts with a small stack, and growing it unwinds the Wasm stack.
//
//go:wasmexport deep
func deep(n int32) int64 {
	c := make(chan int64)
	go func() { c <- down(n) }()
	return <-c
}

//go:wasmexport maps
func maps(n int32) int64 {
	m := map[string]int{}
	for i := range n {
		m[strconv.Itoa(int(i%5000))] += int(i)
	}
	return int64(len(m)) + int64(m["77"])
}
