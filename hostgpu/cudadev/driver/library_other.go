//go:build !linux || (!amd64 && !arm64)

package driver

// Open fails with ErrNoDriver: this build has no way to the driver.
func Open(...string) (Driver, error) { return nil, &Error{Result: notBuilt} }
