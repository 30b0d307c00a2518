package keeper_test

import (
	"net/url"
	"testing"

	"github.com/assaynet/assay/chain/power/types"
)

// FuzzEndpoint checks that what is accepted is an address that a client can call.
func FuzzEndpoint(f *testing.F) {
	for _, s := range []string{"", "http://a", "https://[::1]:1/x", "http://a?b", "http://u@h", "http:///", "http://a#", "//a", "http://a/%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if types.CheckEndpoint(s) != nil || s == "" {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || len(s) > types.MaxEndpointBytes {
			t.Fatalf("accepted %q: %v", s, err)
		}
	})
}

// FuzzStampCheck checks that only a memo of the one form passes, whatever else it holds.
func FuzzStampCheck(f *testing.F) {
	stamp, err := types.NewStamp(chainID, newMember(1).address, 0, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stamp.Mint(6), uint32(6))
	f.Add("stamp:0000000000000000", uint32(1))
	f.Add("stamp:", uint32(0))
	f.Add("", uint32(33))
	f.Fuzz(func(t *testing.T, memo string, want uint32) {
		if stamp.Check(memo, want) == nil && want > 0 && len(memo) != len(types.StampPrefix)+16 {
			t.Fatalf("accepted %q for %d bits", memo, want)
		}
	})
}
