package devicecmd

import (
	"fmt"
	"io"
	"time"
)

// progressAfter is how long something may take in silence, progressEvery how
// often a line follows.
const (
	progressAfter = time.Second
	progressEvery = 5 * time.Second
)

// during runs f and says on w that it goes on, if it takes more than a second.
func during(w io.Writer, what string, f func() error) error {
	done := make(chan error, 1)
	begin := time.Now()
	go func() { done <- f() }()
	timer := time.NewTimer(progressAfter)
	defer timer.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-timer.C:
			fmt.Fprintf(w, "%s ... %d s\n", what, int(time.Since(begin).Seconds()))
			timer.Reset(progressEvery)
		}
	}
}
