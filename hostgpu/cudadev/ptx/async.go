package ptx

type asyncState struct{ held []bool }
type flows struct{}
type mbarrier struct{}

func (f *flows) reset(b *block)             {}
func (w *warp) checkHeld(in *ins, m uint32) {}

var asyncInstructions = map[string]func(c *compiler, s *stmt){}
