// Checks that libtorch 2.13 leaves out: calls that its kernels do not survive are refused with a reason. The
// kernels were found by scripts/fuzz. A guard sees the arguments as the kernel would, defaults filled in, each
// time that the operator runs; operators without one pay for a null test.
#pragma once

#include <ATen/core/stack.h>
#include <ATen/core/operator_name.h>

namespace ld {

// Throws c10::Error where the arguments on the stack would crash the operator.
using Guard = void (*)(const torch::jit::Stack& arguments);

// Runs a guard. Its refusals say that they are none of libtorch's.
void runGuard(Guard guard, const torch::jit::Stack& arguments);

// nullptr for the operators that check their arguments themselves: nearly all.
Guard guardOf(const c10::OperatorName& name);

}  // namespace ld
