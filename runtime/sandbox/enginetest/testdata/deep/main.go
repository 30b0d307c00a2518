// Command deep is a stock-Go guest that recurses.
package main

import (
	"encoding/json"
	"strings"
)

func main() {}

// nested decodes arrays within arrays and encodes them again. It returns the
// length of the result.
//
//go:wasmexport nested
func nested(depth int32) int32 {
	in := strings.Repeat("[", int(depth)) + strings.Repeat("]", int(depth))
	var v any
	if err := json.Unmarshal([]byte(in), &v); err != nil {
		return -1
	}
	out, err := json.Marshal(v)
	if err != nil {
		return -2
	}
	return int32(len(out))
}

// decoded only decodes them.
//
//go:wasmexport decoded
func decoded(depth int32) int32 {
	var v []any
	if err := json.Unmarshal([]byte(strings.Repeat("[", int(depth))+strings.Repeat("]", int(depth))), &v); err != nil {
		return -1
	}
	return int32(len(v))
}

type tree struct{ left, right *tree }

func (t *tree) count() int32 {
	if t == nil {
		return 0
	}
	return 1 + t.left.count() + t.right.count()
}

// list counts a tree that has grown to one side.
//
//go:wasmexport list
func list(n int32) int32 {
	var t *tree
	for range n {
		t = &tree{left: t}
	}
	return t.count()
}
