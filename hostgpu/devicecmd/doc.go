// Package devicecmd holds the commands "device list", "check" and "bench", for
// the assay command and for the small assay-device binary, which has neither
// the chain nor cgo. It only prints; measuring is in bench.go.
package devicecmd
