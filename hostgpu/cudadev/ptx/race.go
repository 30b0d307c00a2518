package ptx

type race struct{}

func newRace(l *launch) *race                                         { return &race{} }
func (r *race) reset()                                                {}
func (r *race) access(w *warp, lane int, a uint64, n int, how access) {}
func (r *race) proxyFence(w *warp, m uint32)                          {}
func (r *race) barrier(b *block, bar *barrier)                        {}
func (r *race) warpSync(w *warp, m uint32)                            {}
