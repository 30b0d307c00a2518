package network_test

import (
	"net"
	"sync"
	"testing"

	"github.com/assaynet/assay/chain/network"
)

// Ports are free, all different, and none that a connection going out may take meanwhile.
func TestFreeAddresses(t *testing.T) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[string]bool{}
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 50 {
				address, err := network.FreeAddress()
				if err != nil {
					t.Error(err)
					return
				}
				tcp, err := net.ResolveTCPAddr("tcp", address)
				if err != nil || !tcp.IP.IsLoopback() || tcp.Port < 10_000 || tcp.Port >= 32_768 {
					t.Errorf("%s: %v", address, err)
				}
				l, err := net.Listen("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				l.Close()
				mu.Lock()
				if seen[address] {
					t.Errorf("%s twice", address)
				}
				seen[address] = true
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
}
