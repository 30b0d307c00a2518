package reference

// loop is one that is reached, with what is known of the ways to it: rules 4
// and 5 under "Gas" of docs/spec/sandbox.md.
type loop struct {
	own, around *region
	backs       []*region // in which a br leads back
	least       int64     // the least price of a way's end
}

func plus(a, b int64) int64 {
	if a < 0 {
		return a
	}
	return a + b
}

// count adds in to what leads here if it cannot stop, and does nothing that
// another could notice.
func (g *grouping) count(in *instr) {
	switch in.op {
	case opNop, opLocalGet, opLocalSet, opLocalTee, opGlobalGet, 0x41, 0x42, 0x43, 0x44, 0xFD0C:
		g.before = plus(g.before, in.price)
		g.silent += in.price
	case opBr:
		g.silent += in.price
	default:
		g.before, g.silent = -1, 0
	}
}

// back notes a branch from depth to a label: at the end of r, or, if that is
// nil, one that may lead elsewhere.
func (g *grouping) back(depth int, label uint32, r *region) {
	switch l := g.at[depth-int(label)]; {
	case l == nil:
	case r == nil:
		l.least = 0
	default:
		l.least = min(l.least, g.silent)
		l.backs = append(l.backs, r)
	}
}

// wayBack moves what all ways back to a loop cost at their ends to the loop's
// own region, at the expense of theirs and of the region that it begins in.
func (g *grouping) wayBack() {
	for _, l := range g.loops {
		if l.least <= 0 || len(l.backs) == 0 {
			continue
		}
		l.own.sum += l.least
		l.around.sum -= l.least
		for _, r := range l.backs {
			r.sum -= l.least
		}
	}
}
