// Looking up operators and describing their schemas.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string>
#include <vector>

namespace ld {

// "aten::add.Tensor" to its handle.
std::optional<c10::OperatorHandle> findOperator(const std::string& qualifiedName);

// Names, with overloads, of every operator of the linked libtorch.
std::vector<std::string> operatorNames();

// The outputs' shape depends on values (nonzero), or values come out (item): no answer before it ran.
bool dependsOnData(const c10::OperatorHandle& op);

}  // namespace ld
