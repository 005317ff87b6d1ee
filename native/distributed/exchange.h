// An exchange as an operator: in the middle of a recorded backward pass it sends what is complete while the rest is
// still computed.
#pragma once

#include <ATen/core/Tensor.h>

namespace ld {

// Begins to sum the tensor over all ranks. It holds the sum once the exchange is ended, for which Group::begun() is there.
inline constexpr const char* kBeginExchangeSchema = "begin_exchange(Tensor(a!) bucket) -> ()";
void beginExchange(const at::Tensor& bucket);

}  // namespace ld
