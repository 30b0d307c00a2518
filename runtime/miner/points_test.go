package miner

import (
	"slices"
	"testing"
)

// A claim is never staked on a single block: with two commitments or more, one
// is made long before the deadline.
func TestCommitPoints(t *testing.T) {
	e := Epoch{Start: 100, CommitEnd: 162, MaxExtensions: 64}
	cases := []struct {
		commits    int
		extensions uint32
		want       []int64
	}{
		{1, 64, nil},
		{2, 64, []int64{130}},
		{3, 64, []int64{130, 160}},
		{5, 64, []int64{115, 130, 145, 160}},
		{5, 1, []int64{130}},
		{5, 0, nil},
	}
	for _, c := range cases {
		e.MaxExtensions = c.extensions
		m := &Miner{cfg: Config{Commits: c.commits}}
		if got := m.commitPoints(e); !slices.Equal(got, c.want) {
			t.Errorf("%d commitments, %d extensions: %v, want %v", c.commits, c.extensions, got, c.want)
		}
	}
}
