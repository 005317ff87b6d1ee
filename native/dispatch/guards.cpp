#include "dispatch/guards.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "dispatch/guards/arguments.h"
#include "dispatch/guards/families.h"
#include "dispatch/guards/tensors.h"

namespace ld {

namespace {

// Operators that other parts of PyTorch (process groups, compilers, mobile runtimes) call with arguments which
// those made themselves: addresses, packed weights, names of groups. None of them can be checked here.
constexpr std::array<std::string_view, 24> kInternal = {
    "_c10d_functional", "_c10d_functional_autograd", "_dtensor", "_native",  "_quantized", "_test",      "c10d",
    "debugprims",       "export",                    "inductor", "mkl",      "mkldnn",     "nnapi",      "onednn",
    "prepacked",        "profiler",                  "sparse",   "symm_mem", "xnnpack",    "static_runtime",
    "inductor_prims",   "cuda",                      "quantization", "mkldnn_prepacked"};

// In the namespace `quantized`: weights packed into objects that no tensor holds, or into bytes of a private format.
constexpr std::array<std::string_view, 4> kPacked = {"pack", "rowwise_offsets", "fp16", "make_quantized_cell_params"};

void internal(const torch::jit::Stack&) {
  TORCH_CHECK(false, "an operator of another part of PyTorch, whose arguments cannot be checked: use the operators of aten");
}

void packed(const torch::jit::Stack&) {
  TORCH_CHECK(false, "works on packed weights, whose format cannot be checked: quantize_per_tensor and dequantize take their place");
}

bool isPacked(std::string_view name) {
  return name.starts_with("quantized::") &&
         std::any_of(kPacked.begin(), kPacked.end(), [&](std::string_view part) { return name.find(part) != std::string_view::npos; });
}

const guards::Table& table() {
  static const auto* const all = [] {
    auto* const made = new guards::Table();
    guards::addConvolutions(*made);
    guards::addDivision(*made);
    guards::addIndices(*made);
    guards::addMatrices(*made);
    guards::addMisc(*made);
    guards::addNested(*made);
    guards::addNorms(*made);
    guards::addOptimizers(*made);
    guards::addPacked(*made);
    guards::addPooling(*made);
    guards::addRecurrent(*made);
    guards::addSparse(*made);
    return made;
  }();
  return *all;
}

}  // namespace

Guard guardOf(const c10::OperatorName& name) {
  for (const auto& wanted : {c10::toString(name), name.name}) {
    if (const auto found = table().find(wanted); found != table().end()) return found->second;
  }
  const std::string_view whole = name.name;
  if (std::ranges::find(kInternal, whole.substr(0, whole.find("::"))) != kInternal.end()) return internal;
  if (isPacked(whole)) return packed;
  if (whole.starts_with("aten::_foreach_")) return guards::sameLengths;
  // Hermite's stop at a degree of their own, and give no number above it.
  const bool unbounded = whole.find("_polynomial_") != std::string_view::npos && whole.find("hermite") == std::string_view::npos;
  if (unbounded && whole.starts_with("aten::special_")) return guards::degree;
  return nullptr;
}

std::vector<size_t> outputsOf(const c10::FunctionSchema& schema) {
  std::vector<size_t> outputs;
  // set.out makes its result share the source's memory; that is what it is for.
  if (schema.name() == "aten::set") return outputs;
  for (size_t i = 0; i < schema.arguments().size(); ++i) {
    const auto& argument = schema.arguments()[i];
    if (argument.kwarg_only() && argument.alias_info() != nullptr && argument.alias_info()->isWrite()) outputs.push_back(i);
  }
  return outputs;
}

void separateOutputs(const std::vector<size_t>& outputs, torch::jit::Stack& arguments) {
  const auto isPlain = [](const c10::IValue& value) {
    return value.isTensor() && value.toTensor().defined() && value.toTensor().layout() == at::kStrided && value.toTensor().has_storage();
  };
  for (const size_t i : outputs) {
    TORCH_CHECK(!isPlain(arguments[i]) || !guards::overlapsItself(arguments[i].toTensor()), "refused, because libtorch does not check it: out= has several elements in one place; clone it first");
  }
  const auto shared = [&](const c10::IValue& value) {
    return isPlain(value) && std::any_of(outputs.begin(), outputs.end(), [&](size_t i) {
             return isPlain(arguments[i]) && arguments[i].toTensor().is_alias_of(value.toTensor());
           });
  };
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (std::ranges::find(outputs, i) != outputs.end()) continue;
    if (shared(arguments[i])) {
      arguments[i] = arguments[i].toTensor().clone();
    } else if (arguments[i].isTensorList()) {
      auto list = arguments[i].toTensorList().copy();
      for (size_t k = 0; k < list.size(); ++k) {
        if (shared(list.get(k))) list.set(k, list.get(k).clone());
      }
      arguments[i] = std::move(list);
    }
  }
}

bool takesOneDnn(const c10::OperatorHandle& op) {
  constexpr std::array kKeys = {c10::DispatchKey::MkldnnCPU, c10::DispatchKey::CompositeImplicitAutograd, c10::DispatchKey::CompositeExplicitAutograd};
  return std::ranges::any_of(kKeys, [&](c10::DispatchKey key) { return op.hasKernelForDispatchKey(key); }) ||
         !op.hasKernelForDispatchKey(c10::DispatchKey::CompositeExplicitAutogradNonFunctional);
}

bool takesNoZeros(const c10::OperatorHandle& op) {
  const auto isView = [](const c10::Argument& result) { return result.alias_info() != nullptr && !result.alias_info()->isWrite(); };
  return !op.hasKernelForDispatchKey(c10::DispatchKey::ZeroTensor) && std::ranges::none_of(op.schema().returns(), isView);
}

void fillZeros(const c10::FunctionSchema& schema, torch::jit::Stack& arguments) {
  // What has a history keeps it.
  const auto isZero = [](const c10::IValue& value) { return value.isTensor() && value.toTensor()._is_zerotensor() && !value.toTensor().requires_grad(); };
  const auto fill = [](const c10::IValue& value) { return at::zeros(value.toTensor().sizes(), value.toTensor().options()); };
  for (size_t i = 0; i < arguments.size(); ++i) {
    auto& argument = arguments[i];
    const bool isList = argument.isList() && std::ranges::any_of(argument.toListRef(), isZero);
    if (!isList && !isZero(argument)) continue;
    const auto* const alias = schema.arguments()[i].alias_info();
    TORCH_CHECK(alias == nullptr || !alias->isWrite(), "refused, because libtorch does not check it: ", schema.arguments()[i].name(), " is zero without memory, and cannot be written to; clone it first");
    if (!isList) {
      argument = fill(argument);
      continue;
    }
    auto list = argument.toList().copy();
    for (size_t k = 0; k < list.size(); ++k) {
      if (isZero(list.get(k))) list.set(k, fill(list.get(k)));
    }
    argument = std::move(list);
  }
}

void checkArguments(Guard guard, bool oneDnn, const torch::jit::Stack& arguments) {
  if (guard == guards::anySparse) return;
  guards::checkTensors(arguments, oneDnn);
  if (guard != nullptr) checkGuard(guard, arguments);
}

void checkGuard(Guard guard, const torch::jit::Stack& arguments) {
  try {
    guard(arguments);
  } catch (const c10::Error& error) {
    TORCH_CHECK(false, "refused, because libtorch does not check it: ", error.what_without_backtrace());
  }
}

}  // namespace ld
