// Tensors on their way from one environment to another. What JavaScript posts is a random token; the
// tensor itself waits here, so that a token from outside can name nothing but what was offered, once.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "dispatch/run.h"
#include "runtime/failure.h"

namespace ld {

class SharedTensors {
 public:
  // Filled by the executor when it reaches the sender's place in the queue. Executor thread only.
  struct Parcel {
    bool ready = false;
    at::Tensor tensor;
    FailurePtr failure;
  };

  struct Offer {
    std::shared_ptr<Parcel> parcel = std::make_shared<Parcel>();
    TensorInfo info;
    const Session* owner = nullptr;
    std::chrono::steady_clock::time_point ownerEnded;  // where `owner` is null
  };

  static SharedTensors& instance();

  // The token under which `take` finds the offer, once.
  std::string put(Offer offer);
  std::optional<Offer> take(const std::string& token);

  // The environment ends. A message that it posted last may still be on its way, so what it offered
  // is kept for a minute.
  void ownerEnds(const Session& owner);

  // Offers that nobody took yet.
  size_t waiting();

 private:
  void forgetAbandoned();

  std::mutex mutex_;
  std::unordered_map<std::string, Offer> offers_;
};

}  // namespace ld
