//go:build !amd64 && !arm64

package plugin

func pause() {}
