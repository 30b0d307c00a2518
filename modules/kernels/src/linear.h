#pragma once
#include "fixed.h"
#include "scales.h"
// linear_row rescales n sums by a row scale and loaded channel scales, then
// adds bias and residual where they are not 0. dst may be acc or residual.
void linear_row(i32 *dst, const i32 *acc, u32 n, const scale *row, const scales *chan, u32 headroom, const i32 *bias,
                const i32 *residual, i32 eout);
