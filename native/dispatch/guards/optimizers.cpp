// Guards of fused optimizer steps and of observers that hold running statistics.
#include "dispatch/guards/arguments.h"
#include "dispatch/guards/families.h"

namespace ld::guards {

namespace {

// A dimension of one element may have any stride.
bool sameOrder(const at::Tensor& one, const at::Tensor& other) {
  for (int64_t d = 0; d < one.dim(); ++d) {
    if (one.size(d) > 1 && one.stride(d) != other.stride(d)) return false;
  }
  return true;
}

// Element i of each list lies in memory as parameter i does: the kernels walk through all of them together.
void alike(const std::vector<at::Tensor>& parameters, const std::vector<at::Tensor>& others, const char* what) {
  TORCH_CHECK(others.size() == parameters.size(), what, " must have one tensor per parameter");
  for (size_t i = 0; i < others.size(); ++i) {
    TORCH_CHECK(strided(others[i]) && sameSizes(others[i], parameters[i]) && sameOrder(others[i], parameters[i]) &&
                    sameType(others[i], parameters[i]) && others[i].is_non_overlapping_and_dense() && others[i].device() == parameters[i].device(),
                what, " ", i, " must be like parameter ", i, ", and both fill their memory");
  }
}

bool isNumber(const at::Tensor& tensor) { return !tensor.defined() || (strided(tensor) && tensor.numel() == 1); }

// (self[], grads[], State lists of state, state_steps[], ...)
template <size_t States, bool Steps>
void fusedStep(const Stack& stack) {
  const auto parameters = tensors(stack, 0);
  TORCH_CHECK(!parameters.empty(), "there are no parameters");
  alike(parameters, parameters, "self");
  alike(parameters, tensors(stack, 1), "grads");
  for (size_t i = 2; i < 2 + States; ++i) {
    // Which is empty where the optimizer keeps no such state.
    if (const auto state = tensors(stack, i); !state.empty()) alike(parameters, state, "state");
  }
  size_t rest = 2 + States;
  if (Steps) {
    const auto steps = tensors(stack, rest++);
    TORCH_CHECK(steps.size() == parameters.size(), "there must be one step per parameter");
    for (const auto& step : steps) TORCH_CHECK(step.scalar_type() == at::kFloat && isNumber(step), "a step must be one float32");
  }
  for (size_t i = rest; i < stack.size(); ++i) {
    if (stack[i].isTensor()) TORCH_CHECK(isNumber(tensor(stack, i)), "lr, grad_scale and found_inf must be one number each");
  }
}

// (self, observer_on, fake_quant_on, running_min, running_max, scale, zero_point, averaging_const, quant_min, quant_max, ch_axis,
// per_row_fake_quant, ...)
void observed(const Stack& stack) {
  const auto self = tensor(stack, 0), least = tensor(stack, 3), most = tensor(stack, 4), scale = tensor(stack, 5), zero = tensor(stack, 6);
  TORCH_CHECK(strided(self) && self.scalar_type() == at::kFloat && self.numel() > 0, "self must be float32 and not empty");
  for (size_t i : {1, 2}) TORCH_CHECK(tensor(stack, i).defined() && isNumber(tensor(stack, i)), "observer_on and fake_quant_on must be one number each");
  const int64_t axis = stack.at(10).toInt();
  const bool perRow = stack.at(11).toBool();
  TORCH_CHECK(!perRow || (axis >= 0 && axis < self.dim()), "ch_axis must be one of self's dimensions");
  const int64_t rows = perRow ? self.size(axis) : 1;
  const bool fresh = perRow && strided(least) && least.numel() == 0;
  for (const auto& each : {least, most, scale, zero}) {
    const bool isZero = each.is_same(zero);
    TORCH_CHECK(strided(each) && each.scalar_type() == (isZero ? at::kInt : at::kFloat) && each.is_contiguous() && (each.numel() == rows || (fresh && each.numel() == 0)),
                "running statistics, scale and zero point must have ", rows, " values, float32 and (zero point) int32");
  }
  TORCH_CHECK(least.numel() == most.numel(), "running_min and running_max must have one length");
}

}  // namespace

void addOptimizers(Table& table) {
  for (const char* suffix : {"", "_"}) {
    table.emplace(std::string("aten::_fused_adam") + suffix, fusedStep<3, true>);
    table.emplace(std::string("aten::_fused_adamw") + suffix, fusedStep<3, true>);
    table.emplace(std::string("aten::_fused_adagrad") + suffix, fusedStep<1, true>);
    table.emplace(std::string("aten::_fused_sgd") + suffix, fusedStep<1, false>);
  }
  table.merge(Table{
      {"aten::_fused_moving_avg_obs_fq_helper", observed},
      {"aten::_fused_moving_avg_obs_fq_helper_functional", observed},
      {"aten::fused_moving_avg_obs_fake_quant", observed},
  });
}

}  // namespace ld::guards
