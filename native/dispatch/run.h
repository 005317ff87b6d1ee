// Running one op record on the executor, and the shape answers that JavaScript waits for.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "dispatch/site.h"
#include "runtime/session.h"

namespace ld {

// What JavaScript knows of a tensor without its values.
struct TensorInfo {
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
  int dtype = 0;  // c10::ScalarType
  std::string device;
  bool requiresGrad = false;
  bool isLeaf = true;
  bool defined = false;
  uint32_t traits = 0;  // Trait
};

// What else decides how an operator treats a tensor. The lowest byte is its c10::Layout.
enum Trait : uint32_t { Conjugated = 1u << 8, Negated = 1u << 9, Zero = 1u << 10, Nested = 1u << 11 };

TensorInfo describe(const at::Tensor& tensor);

// "float32[1, 3, 8, 8]": for messages.
std::string brief(const at::Tensor& tensor);

// Results of an op whose outputs JavaScript does not know yet, and what became of the tensors that it wrote to.
struct Outcome {
  struct Written {
    uint32_t argument;
    uint32_t element;  // of a list of tensors
    TensorInfo info;
  };
  std::vector<c10::IValue> results;
  FailurePtr failure;
  std::vector<Written> written;
};

// Runs an op record of known outputs: results go into the table, a failure poisons them.
void runOp(Session& session, const uint32_t* words);

// Runs the same record, ignoring its outputs, and returns what came out.
Outcome runForOutcome(Session& session, const uint32_t* words);

// Puts libtorch's thread-local state to `mode` (record::Mode); cheap where nothing changes.
class ModeGuard {
 public:
  explicit ModeGuard(uint32_t mode);
  ~ModeGuard();
  ModeGuard(const ModeGuard&) = delete;
  ModeGuard& operator=(const ModeGuard&) = delete;

 private:
  struct State;
  State* state_ = nullptr;
  bool grad_;
};

}  // namespace ld
