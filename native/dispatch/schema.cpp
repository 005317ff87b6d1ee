#include "dispatch/schema.h"

#include <algorithm>
#include <unordered_set>

namespace ld {

namespace {

// Operators that libtorch does not tag although the shapes of their results depend on values: composites of
// tagged ones, and those that look inside a sparse tensor or a packed sequence.
const std::unordered_set<std::string>& untagged() {
  static const auto* const names = new std::unordered_set<std::string>{
      "aten::where",           "aten::nonzero_numpy",   "aten::repeat_interleave.self_Tensor",
      "aten::tensor_split.tensor_indices_or_sections",  "aten::sparse_coo_tensor.indices",
      "aten::_pack_padded_sequence",                    "aten::_pad_packed_sequence",
      "aten::coalesce",        "aten::_coalesce",       "aten::indices",
      "aten::_indices",        "aten::values",          "aten::_values",
      "aten::crow_indices",    "aten::col_indices",     "aten::ccol_indices",
      "aten::row_indices"};
  return *names;
}

}  // namespace

std::optional<c10::OperatorHandle> findOperator(const std::string& qualifiedName) {
  const size_t colons = qualifiedName.find("::");
  const size_t dot = qualifiedName.find('.', colons == std::string::npos ? 0 : colons);
  const std::string name = qualifiedName.substr(0, dot);
  const std::string overload = dot == std::string::npos ? "" : qualifiedName.substr(dot + 1);
  auto op = c10::Dispatcher::singleton().findSchema({name, overload});
  if (!op && overload.empty()) op = c10::Dispatcher::singleton().findSchema({name, "default"});
  return op;
}

std::vector<std::string> operatorNames() {
  std::vector<std::string> names;
  for (const auto& name : c10::Dispatcher::singleton().getAllOpNames()) {
    if (c10::Dispatcher::singleton().findSchema(name)) names.push_back(c10::toString(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool dependsOnData(const c10::OperatorHandle& op) {
  if (untagged().contains(c10::toString(op.schema().operator_name()))) return true;
  const auto tags = op.getTags();
  return std::any_of(tags.begin(), tags.end(), [](at::Tag tag) {
    return tag == at::Tag::dynamic_output_shape || tag == at::Tag::data_dependent_output;
  });
}

}  // namespace ld
