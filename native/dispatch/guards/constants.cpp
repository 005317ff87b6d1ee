#include "dispatch/guards/constants.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace ld::guards {

namespace {

// Kernels multiply these with each other and with lengths.
constexpr std::array<std::string_view, 5> kWindow = {"kernel_size", "stride", "padding", "dilation", "output_padding"};
constexpr int64_t kMost = int64_t{1} << 31;
// Padding has two numbers a dimension, and from four on there is no list that one number stands for.
constexpr int32_t kMostDimensions = 3;

bool isWindow(const std::string& name) { return std::ranges::find(kWindow, name) != kWindow.end(); }

// A list of a fixed length may be one number for all, or empty where it then has a meaning.
bool hasLength(const c10::Argument& argument, int32_t wanted, size_t length) {
  if (length == static_cast<size_t>(wanted)) return true;
  if (length == 0) return argument.name() == "stride";
  return length == 1 && wanted <= kMostDimensions && isWindow(argument.name());
}

}  // namespace

std::string refusalOf(const Site& site) {
  const auto& schema = site.op.schema();
  for (size_t i = 0; i < site.arguments.size(); ++i) {
    const auto& value = site.arguments[i].constant;
    if (!value.isIntList()) continue;
    const auto& argument = schema.arguments()[i];
    const auto numbers = value.toIntVector();
    if (const auto wanted = argument.N(); wanted && *wanted > 1 && !hasLength(argument, *wanted, numbers.size())) {
      return argument.name() + " must have " + std::to_string(*wanted) + " numbers, got " + std::to_string(numbers.size());
    }
    if (isWindow(argument.name()) && std::ranges::any_of(numbers, [](int64_t number) { return number >= kMost || number <= -kMost; })) {
      return argument.name() + " has a number above 2^31";
    }
  }
  return {};
}

}  // namespace ld::guards
