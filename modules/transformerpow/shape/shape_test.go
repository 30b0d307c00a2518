package shape

import (
	"errors"
	"testing"
)

func TestEncodeDecode(t *testing.T) {
	got, err := Decode(Test.Encode())
	if err != nil || got != Test {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := Decode(Test.Encode()[:23]); !errors.Is(err, ErrShape) {
		t.Errorf("short: %v", err)
	}
}

func TestBounds(t *testing.T) {
	for name, s := range map[string]Shape{
		"no layers":        {0, 64, 4, 4, 128, 8},
		"layers":           {129, 64, 4, 4, 128, 8},
		"width":            {2, 16386, 4, 4, 16386, 8},
		"heads":            {2, 64, 3, 3, 128, 8},
		"no heads":         {2, 64, 0, 1, 128, 8},
		"odd head":         {2, 12, 4, 4, 128, 8},
		"wide head":        {2, 4096, 2, 2, 4096, 8},
		"key heads":        {2, 64, 4, 3, 128, 8},
		"no key heads":     {2, 64, 4, 0, 128, 8},
		"narrow ffn":       {2, 64, 4, 4, 63, 8},
		"wide ffn":         {2, 64, 4, 4, 131073, 8},
		"one token":        {2, 64, 4, 4, 128, 1},
		"many tokens":      {2, 64, 4, 4, 128, 4097},
		"too many weights": {128, 16384, 16, 16, 16384, 8},
	} {
		var e *Error
		if err := s.Check(); !errors.Is(err, ErrShape) || !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
	large := Production
	if err := large.Check(); err != nil {
		t.Error(err)
	}
	if large.Pass() != 256 || large.Weights() != 2*(4*2048*2048+3*2048*5632) {
		t.Errorf("pass %d, weights %d", large.Pass(), large.Weights())
	}
}
