package gateway

import (
	"net/http"
	"net/netip"
	"sync"
)

// clients counts what each client has under way, so that one cannot take all the places. A client is an
// IPv4 address or an IPv6 network of 64 bits, which is what one household gets; an address behind which
// many stand shares its places. Forwarding headers are not looked at, because anybody can send them.
// Connections from this machine are not counted: there, a proxy has to bound its clients. It is safe for
// concurrent use.
type clients struct {
	most int

	mu    sync.Mutex
	under map[netip.Prefix]int
}

// enter takes a place for the client of a request, and says how to give it back; ok is false where it
// has as many as it may.
func (c *clients) enter(r *http.Request) (leave func(), ok bool) {
	who, counted := clientOf(r.RemoteAddr)
	if !counted {
		return func() {}, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.under[who] >= c.most {
		return nil, false
	}
	if c.under == nil {
		c.under = make(map[netip.Prefix]int)
	}
	c.under[who]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.under[who]--; c.under[who] == 0 {
			delete(c.under, who)
		}
	}, true
}

// clientOf is the client of a remote address; ok is false if it is on this machine or has none.
func clientOf(remote string) (_ netip.Prefix, ok bool) {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}, false
	}
	addr := at.Addr().Unmap().WithZone("")
	if addr.IsLoopback() {
		return netip.Prefix{}, false
	}
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	return p, err == nil
}
