// Command gen writes the generated files of sdk/guest: calls_wasip1.go,
// ops_wasip1.go and assay.h. Run it by "go generate ./sdk/guest". Its test
// fails when a committed file is not what it would write.
package main
