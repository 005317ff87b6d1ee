#include "dispatch/cells.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <c10/util/Exception.h>

namespace ld {

namespace {

constexpr size_t kTensors = 4;

const c10::TypePtr& elementOf(const c10::Argument& argument) { return argument.real_type()->castRaw<c10::ListType>()->getElementType(); }

c10::IValue call(const char* name, torch::jit::Stack arguments) {
  c10::Dispatcher::singleton().findSchemaOrThrow(name, "").callBoxed(arguments);
  return std::move(arguments.at(0));
}

bool isStrided(const at::Tensor& tensor) { return tensor.is_cpu() && tensor.layout() == at::kStrided && !tensor.is_nested(); }

// What the packing trusts.
void check(const at::Tensor* cell) {
  for (size_t i = 0; i < kTensors; ++i) TORCH_CHECK(cell[i].defined() && isStrided(cell[i]), "weights and biases must be strided tensors on the CPU");
  const auto &input = cell[0], &hidden = cell[1];
  for (const auto* weight : {&input, &hidden}) {
    TORCH_CHECK(weight->dim() == 2 && weight->numel() > 0 && weight->scalar_type() == input.scalar_type() && weight->size(0) == input.size(0),
                "w_ih and w_hh must be [gates * hidden, in] and [gates * hidden, hidden] of one dtype, and not empty");
  }
  TORCH_CHECK(input.scalar_type() == at::kQInt8 || input.scalar_type() == at::kFloat, "weights must be qint8 or float32");
  for (const auto* bias : {&cell[2], &cell[3]}) {
    TORCH_CHECK(bias->scalar_type() == at::kFloat && bias->dim() == 1 && bias->size(0) == input.size(0), "biases must be float32 [gates * hidden]");
  }
}

c10::IValue pack(const at::Tensor* cell) {
  check(cell);
  if (cell[0].scalar_type() == at::kFloat) {
    const auto packed = [](const at::Tensor& weight, const at::Tensor& bias) { return call("quantized::linear_prepack_fp16", {weight, bias}); };
    return call("quantized::make_quantized_cell_params_fp16", {packed(cell[0], cell[2]), packed(cell[1], cell[3])});
  }
  const auto packed = [](const at::Tensor& weight, const at::Tensor& bias) { return call("quantized::linear_prepack", {weight, bias}); };
  // The sums of eight bits' products may not fit into sixteen bits on processors without VNNI: PyTorch's layers halve the range too.
  const bool halveRange = true;
  return call("quantized::make_quantized_cell_params_dynamic", {packed(cell[0], cell[2]), packed(cell[1], cell[3]), cell[2], cell[3], halveRange});
}

}  // namespace

bool wantsCells(const c10::Argument& argument) {
  return argument.real_type()->kind() == c10::TypeKind::ListType && elementOf(argument)->kind() == c10::TypeKind::ClassType;
}

c10::IValue packCells(const c10::Argument& argument, const std::vector<at::Tensor>& tensors) {
  TORCH_CHECK(tensors.size() % kTensors == 0, argument.name(), " must be four tensors for each layer and direction, got ", tensors.size());
  c10::impl::GenericList cells(elementOf(argument));
  for (size_t i = 0; i < tensors.size(); i += kTensors) cells.push_back(pack(tensors.data() + i));
  return cells;
}

}  // namespace ld
