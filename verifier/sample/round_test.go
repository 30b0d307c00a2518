package sample

import "testing"

// Together the seats of a round draw at least what the chain asks of each
// claim, and nobody draws of its own.
func TestRoundCovers(t *testing.T) {
	r := Round{ChainID: "assay-1", Epoch: 2}
	for i := range byte(5) {
		r.Seats = append(r.Seats, Seat{Validator: []byte{i}, Power: uint64(i) * 1000, Key: key(t, i).Public()})
	}
	for claimant := range byte(7) { // 5 and 6 do not validate
		sum := 0
		for _, s := range r.Seats {
			n := r.Draw(s.Validator, []byte{claimant}, 100_000, 200).Size()
			if s.Validator[0] == claimant && n != 0 {
				t.Errorf("%d draws %d of its own claim", claimant, n)
			}
			sum += n
		}
		if sum < 200 || sum > 200+len(r.Seats) {
			t.Errorf("claim of %d: %d draws", claimant, sum)
		}
	}
	if n := r.Draw([]byte{99}, []byte{0}, 1000, 200).Size(); n != 0 {
		t.Errorf("a stranger draws %d", n)
	}
	if _, ok := r.Seat([]byte{99}); ok {
		t.Error("a stranger has a seat")
	}
	if s, ok := r.Seat([]byte{3}); !ok || s.Power != 3000 {
		t.Error("seat of 3 not found")
	}
}
