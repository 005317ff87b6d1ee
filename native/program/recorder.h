// Watches a session's operators and writes them down as a program, while they run as they always do.
//
// It stands below autograd, at a dispatch key that libtorch leaves to others: what arrives there are the operators
// with kernels of their own, after composite ones were taken apart, autocast has cast and the graph was built. The
// engine calls the same operators in a backward pass, so the pass is seen too.
//
// Values are told apart by their TensorImpl. Only weak references are held: memory is freed as without
// recording, and autograd still finds itself the only owner of what it may take over.
#pragma once

#include <c10/core/DispatchKeySet.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "program/ir.h"
#include "runtime/failure.h"

namespace ld::program {

class Recorder {
 public:
  Recorder(const std::vector<at::Tensor>& inputs, std::vector<at::Generator> generators);

  // Ends the recording. Throws the reason why there is no program, where there is one.
  Program finish(const std::vector<at::Tensor>& outputs);

  // Whether the leaf had a gradient when it was first seen; whether it has one now where it was not seen.
  bool hadGradient(const at::Tensor& leaf) const;

  // There will be no program: the first reason counts.
  void refuse(const std::string& reason);
  void refuse(FailurePtr failure);

  // The gradient of `tensor` is going to be read or set from outside the graph.
  void noteGradient(const at::Tensor& tensor);

  // Key of the JavaScript stack of what runs now.
  uint32_t trace = 0;

  // An operator, on its way to its kernel.
  void call(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack);

 private:
  using Impl = c10::weak_intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>;
  using Memory = c10::weak_intrusive_ptr<c10::StorageImpl>;
  struct Known {
    ValueId value;
    Impl alive;  // keeps the address from being given to another tensor
  };
  // A leaf that requires gradients, and what its .grad was when it was first seen.
  struct Leaf {
    ValueId value;
    at::Tensor tensor;
    Impl gradient;
    bool defined;
  };

  Operand operandOf(const c10::IValue& value);
  Result resultOf(const c10::IValue& value);
  ValueId use(const at::Tensor& tensor);
  ValueId made(const at::Tensor& tensor);
  std::optional<ValueId> find(const at::Tensor& tensor) const;
  std::optional<ValueId> findAlias(const at::Tensor& tensor);
  ValueId add(const at::Tensor& tensor, Value::Origin origin, uint32_t index = 0);
  uint32_t storageOf(const at::Tensor& tensor);
  void noteLeaf(const at::Tensor& tensor, ValueId value);
  void checkHistory(const at::Tensor& tensor);
  void checkStatic(const c10::OperatorHandle& op, const torch::jit::Stack& stack);

  // CUDA nodes of a backward pass run in a thread of the engine's own, while CPU nodes run on the executor.
  std::mutex mutex_;
  Program program_;
  std::vector<at::Generator> generators_;
  std::unordered_map<const c10::TensorImpl*, Known> known_;
  struct KnownStorage {
    uint32_t index;
    Memory alive;
    std::vector<ValueId> values;
  };
  std::unordered_map<const c10::StorageImpl*, KnownStorage> storages_;
  // A storage that lives on is that of a captured tensor alone: other views of it may be captured as well.
  std::vector<bool> captured_;
  std::vector<Leaf> leaves_;
  std::unordered_map<const c10::TensorImpl*, size_t> leafOfGradient_;
  FailurePtr failure_;
};

// While it lives, operators of this thread, and of backward passes that it starts, go to `recorder`. Does nothing,
// and hides the recorder around it, where that is null.
class RecordingGuard {
 public:
  explicit RecordingGuard(Recorder* recorder);
  ~RecordingGuard();
  RecordingGuard(const RecordingGuard&) = delete;
  RecordingGuard& operator=(const RecordingGuard&) = delete;

 private:
  Recorder* const outer_;
  std::optional<c10::impl::IncludeDispatchKeyGuard> include_;
};

// Puts the recorder's fallback into libtorch's dispatcher, once. Throws where another library has taken the key.
void registerRecorder();

}  // namespace ld::program
