package failover

// span is the bytes [lo, hi).
type span struct{ lo, hi int64 }

// ranges is a sorted list of spans that do not touch.
type ranges []span

func (r ranges) intersects(lo, hi int64) bool {
	if lo >= hi {
		return false
	}
	for _, s := range r {
		if s.lo < hi && lo < s.hi {
			return true
		}
		if s.lo >= hi {
			return false
		}
	}
	return false
}

func (r *ranges) add(lo, hi int64) {
	if lo >= hi {
		return
	}
	old := *r
	i := 0
	for i < len(old) && old[i].hi < lo {
		i++
	}
	k := i
	for k < len(old) && old[k].lo <= hi {
		lo, hi = min(lo, old[k].lo), max(hi, old[k].hi)
		k++
	}
	r.splice(i, k, span{lo, hi})
}

func (r *ranges) remove(lo, hi int64) {
	if lo >= hi {
		return
	}
	old := *r
	i := 0
	for i < len(old) && old[i].hi <= lo {
		i++
	}
	k := i
	var rest [2]span
	n := 0
	for k < len(old) && old[k].lo < hi {
		if old[k].lo < lo {
			rest[n] = span{old[k].lo, lo}
			n++
		}
		if old[k].hi > hi {
			rest[n] = span{hi, old[k].hi}
			n++
		}
		k++
	}
	r.splice(i, k, rest[:n]...)
}

// splice replaces spans [i, k) by others.
func (r *ranges) splice(i, k int, with ...span) {
	old := *r
	tail := len(old) - k
	size := i + len(with) + tail
	if size > cap(old) {
		grown := make(ranges, size, 2*size)
		copy(grown, old[:i])
		copy(grown[i+len(with):], old[k:])
		copy(grown[i:], with)
		*r = grown
		return
	}
	out := old[:size]
	copy(out[i+len(with):], old[k:])
	copy(out[i:], with)
	*r = out
}
