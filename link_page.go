package main

import "github.com/cosmos/cosmos-sdk/types/query"

type (
	pageRequest  = query.PageRequest
	pageResponse = query.PageResponse
)

// pageSize is how many entries a query asks for at once.
const pageSize = 500

// collect reads all pages of a list.
func collect[T any](page func(*pageRequest) ([]T, *pageResponse, error)) ([]T, error) {
	var all []T
	var key []byte
	for {
		items, next, err := page(&pageRequest{Key: key, Limit: pageSize})
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if next == nil || len(next.NextKey) == 0 {
			return all, nil
		}
		key = next.NextKey
	}
}
