// Checks that libtorch 2.13 leaves out: calls that its kernels do not survive are refused with a reason. The
// kernels were found by scripts/fuzz. A guard sees the arguments as the kernel would, defaults filled in, each
// time that the operator runs.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/function_schema.h>
#include <ATen/core/operator_name.h>
#include <ATen/core/stack.h>

#include <vector>

namespace ld {

// Throws c10::Error where the arguments on the stack would crash the operator.
using Guard = void (*)(const torch::jit::Stack& arguments);

// nullptr for the operators that check their arguments themselves: nearly all.
Guard guardOf(const c10::OperatorName& name);

// Before every call: the tensors are what they say they are (tensors.h), and the operator's guard, where it has
// one, agrees. Its refusals say that they are none of libtorch's.
void checkArguments(Guard guard, bool oneDnn, const torch::jit::Stack& arguments);

// Whether oneDNN tensors may be given to the operator: it has a kernel for them, or is made of others. What is left are
// operators whose shape function libtorch runs with them before it finds that there is no kernel.
bool takesOneDnn(const c10::OperatorHandle& op);

// Whether the operator has no kernel for tensors that are zero without memory, nor makes a view of them.
bool takesNoZeros(const c10::OperatorHandle& op);

// Gives such tensors memory. libtorch gives kernels one zero expanded to all places in their stead, which those that read
// memory by themselves do not expect of what says that it is contiguous. Throws c10::Error where one is written to.
void fillZeros(const c10::FunctionSchema& schema, torch::jit::Stack& arguments);

// The second half of `checkArguments`.
void checkGuard(Guard guard, const torch::jit::Stack& arguments);

// The places of the arguments that results are written to by out=.
std::vector<size_t> outputsOf(const c10::FunctionSchema& schema);

// Kernels resize or clear what they write to before they read their inputs: an input that shares its memory with an
// output is copied first. Throws c10::Error for an output that has several elements in one place.
void separateOutputs(const std::vector<size_t>& outputs, torch::jit::Stack& arguments);

}  // namespace ld
