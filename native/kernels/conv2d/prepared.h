// Transformed filters that are kept from one call to the next, for weights that stay as they are: inference. Whether a
// weight is as it was is told by its values, not by its version, so whatever writes to it is seen, however it does.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace ld::winograd {

// The filters of `weight` (float32, contiguous), which take that many floats: those that are kept, or what `transform`
// writes, which is kept then if there is room.
at::Tensor prepared(const at::Tensor& weight, int64_t floats, const std::function<void(float*)>& transform);

// Bytes that are kept; they are part of the CPU's live memory.
uint64_t preparedBytes();

// Lets go of all of them; they are made anew when they are wanted.
void dropPrepared();

}  // namespace ld::winograd
