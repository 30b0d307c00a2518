// Package fixed is the integer arithmetic by which transformerpow derives its
// constants: square roots as scales, sines, rotary frequencies. No floats, so
// that no two engines can differ.
//
// It is a leaf and must not know what the constants are for.
package fixed
