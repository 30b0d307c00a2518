package sandbox

import "testing"

// BuildGuest builds a guest of testdata/guests for the tests that need a
// package which imports this one.
func BuildGuest(t testing.TB, name string) []byte { return guest(t, name) }
