// Guards of whole-number division: the processor traps where the least number is divided by -1.
#include <ATen/ExpandUtils.h>
#include <ATen/ScalarOps.h>
#include <ATen/ops/result_type.h>

#include <limits>

#include "dispatch/guards/arguments.h"
#include "dispatch/guards/families.h"

namespace ld::guards {

namespace {

at::Tensor operand(const c10::IValue& value) {
  if (value.isScalar()) return at::native::wrapped_scalar_tensor(value.toScalar());
  const auto tensor = value.isTensor() ? value.toTensor() : at::Tensor();
  // Kernels divide the values of a sparse tensor.
  return tensor.defined() && tensor.layout() == at::kSparse ? tensor._values() : tensor;
}

bool isWhole(const at::Tensor& tensor) { return strided(tensor) && tensor.is_cpu() && at::isIntegralType(tensor.scalar_type(), /*includeBool=*/true); }

template <typename Number>
bool holds(const at::Tensor& tensor, Number value) {
  const auto whole = tensor.contiguous();
  const auto* const first = whole.const_data_ptr<Number>();
  return std::find(first, first + whole.numel(), value) != first + whole.numel();
}

template <typename Number>
void divided(const at::Tensor& dividend, const at::Tensor& divisor, at::ScalarType type) {
  constexpr auto kLeast = std::numeric_limits<Number>::min();
  const auto below = divisor.resolve_neg().to(type);
  if (!holds<Number>(below, -1)) return;
  const auto above = dividend.resolve_neg().to(type);
  if (!holds<Number>(above, kLeast)) return;
  // Which need not meet.
  if (!at::are_expandable(above.sizes(), below.sizes())) return;
  const auto met = above.eq(at::Scalar(int64_t{kLeast})).logical_and(below.eq(-1));
  TORCH_CHECK(!met.any().template item<bool>(), "the least number of ", c10::toString(type), " divided by -1");
}

// (self, other, rounding mode?, ...), tensors or numbers; without rounding the result is no whole number.
void whole(const Stack& stack) {
  if (stack.size() > 2 && stack[2].isNone()) return;
  for (size_t i : {0, 1}) {
    if (stack.at(i).isTensor() && stack[i].toTensor().defined() && at::isFloatingType(stack[i].toTensor().scalar_type())) return;
  }
  const auto dividend = operand(stack[0]), divisor = operand(stack[1]);
  if (!isWhole(dividend) || !isWhole(divisor)) return;
  const auto type = at::result_type(dividend, divisor);
  if (type == at::kLong) divided<int64_t>(dividend, divisor, type);
  if (type == at::kInt) divided<int32_t>(dividend, divisor, type);
}

// The least number has no multiple that fits, and is divided by a divisor that may be -1.
void multiple(const Stack& stack) {
  const auto self = operand(stack.at(0)), other = operand(stack.at(1));
  if (!isWhole(self) || !isWhole(other) || !at::are_expandable(self.sizes(), other.sizes())) return;
  const auto type = at::result_type(self, other);
  if (type != at::kLong && type != at::kInt) return;
  const int64_t least = type == at::kLong ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int32_t>::min();
  const auto met = self.resolve_neg().to(type).eq(at::Scalar(least)).logical_and(other.resolve_neg().ne(0));
  TORCH_CHECK(!met.any().item<bool>(), "no multiple of the least number fits into ", c10::toString(type));
}

}  // namespace

void addDivision(Table& table) {
  for (const char* name : {"floor_divide", "remainder", "fmod", "gcd"}) {
    for (const char* suffix : {"", "_"}) table.emplace(std::string("aten::") + name + suffix, whole);
  }
  for (const char* name : {"div", "divide"}) {
    for (const char* overload : {".Tensor_mode", ".Scalar_mode", "_.Tensor_mode", "_.Scalar_mode", ".out_mode"}) {
      table.emplace(std::string("aten::") + name + overload, whole);
    }
  }
  table.emplace("aten::div.Scalar_mode_out", whole);
  table.emplace("aten::lcm", multiple);
  table.emplace("aten::lcm_", multiple);
}

}  // namespace ld::guards
