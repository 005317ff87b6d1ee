// The weights of quantized recurrent layers (`aten::quantized_lstm`, `aten::quantized_gru`), which libtorch wants as
// objects of a TorchScript class. JavaScript gives them as PyTorch's other recurrent operators take theirs: a list of
// tensors, four for each layer and direction.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <vector>

namespace ld {

// Whether the argument is a list of such objects.
bool wantsCells(const c10::Argument& argument);

// The objects for `tensors`: w_ih [gates * hidden, in], w_hh [gates * hidden, hidden], b_ih and b_hh [gates * hidden], again and
// again. Weights of qint8 stay so, weights of float32 are rounded to float16; biases are float32. Throws c10::Error for others.
c10::IValue packCells(const c10::Argument& argument, const std::vector<at::Tensor>& tensors);

}  // namespace ld
