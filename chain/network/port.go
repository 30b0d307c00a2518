package network

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports that FreeAddress chooses from: above the well-known ones, below those of a node by default (26656) and of
// a devnet (26600), and below those that systems give to
// connections that go out (from 32768 on for Linux, 49152 for others). One of these may be taken by any
// connection between the moment it is found free and the moment a server listens.
const (
	firstPort = 10_000
	lastPort  = 26_000
)

// given are the ports that FreeAddress has chosen in this process.
var given struct {
	sync.Mutex
	ports map[int]bool
}

// FreeAddress returns an address of the loopback interface at which nobody listens, never the same twice. It is
// safe for concurrent use. Another process may choose the same port before anybody listens at it, with the odds
// of one in 16,000 for each.
func FreeAddress() (string, error) {
	given.Lock()
	defer given.Unlock()
	if given.ports == nil {
		given.ports = make(map[int]bool)
	}
	var last error
	for range 1_000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if given.ports[port] {
			continue
		}
		address := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", address)
		if err != nil {
			last = err
			continue
		}
		given.ports[port] = true
		return address, l.Close()
	}
	return "", fmt.Errorf("network: find a free port: %w", errors.Join(errNoPort, last))
}

var errNoPort = errors.New("a thousand ports from 10000 on are taken")
