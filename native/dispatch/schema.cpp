#include "dispatch/schema.h"

#include <algorithm>

namespace ld {

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
  const auto tags = op.getTags();
  return std::any_of(tags.begin(), tags.end(), [](at::Tag tag) {
    return tag == at::Tag::dynamic_output_shape || tag == at::Tag::data_dependent_output;
  });
}

}  // namespace ld
