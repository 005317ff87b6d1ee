// The state of the CPU's default generator as operators, so that a program records when it is read and set.
#pragma once

#include <ATen/core/Tensor.h>

namespace ld {

inline constexpr const char* kGetRngStateSchema = "get_rng_state() -> Tensor";
inline constexpr const char* kSetRngStateSchema = "set_rng_state(Tensor state) -> ()";

at::Tensor getRngState();
void setRngState(const at::Tensor& state);

// The same through the dispatcher.
at::Tensor callGetRngState();
void callSetRngState(const at::Tensor& state);

}  // namespace ld
