// Gradients averaged over the processes while the backward pass still runs, as DistributedDataParallel does it:
// parameters are put into buckets in the reverse of their order, which is about the order in which their gradients
// come; a bucket that is full is sent at once.
//
// Not c10d::Reducer: its constructor changes from release to release, its end of a pass waits on the thread that
// runs it, which here would stop every session, and CUDA graphs cannot capture its bookkeeping. What is left without
// that is this file.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "distributed/group.h"

namespace ld {

// Used by one thread at a time: the executor, or libtorch's engine in a pass that the executor waits for.
class Reducer : public std::enable_shared_from_this<Reducer> {
 public:
  // `parameters` are leaves. Buckets hold `bucketBytes`, the first one kFirstBucketBytes: it is sent while most of
  // the pass is still to come. Throws c10::Error where a parameter has a reducer already.
  static std::shared_ptr<Reducer> make(std::shared_ptr<Group> group, std::vector<at::Tensor> parameters,
                                       size_t bucketBytes);
  ~Reducer();

  // The next backward pass is the last before finish(): its gradients are the ones to be sent.
  void prepare();
  // After that pass: the gates of all buckets. Throws c10::Error where a parameter got no gradient.
  Gates sent();
  // When they are open: puts the averages into the parameters' gradients. Throws CallbackError with what failed.
  void finish();

 private:
  struct Bucket {
    std::vector<size_t> members;     // places in parameters_
    std::vector<at::Tensor> views;   // of each member, with its shape and strides, in flat
    at::Tensor flat;
    size_t missing = 0;
    std::shared_ptr<Collective> sending;
  };
  struct Place {
    size_t bucket;
    size_t member;
  };
  struct Hook;

  Reducer(std::shared_ptr<Group> group, std::vector<at::Tensor> parameters);
  void fill(size_t bucketBytes);
  void ready(size_t parameter);
  void send(Bucket& bucket);

  static constexpr size_t kFirstBucketBytes = 1 << 20;

  const std::shared_ptr<Group> group_;
  const std::vector<at::Tensor> parameters_;
  std::vector<Bucket> buckets_;
  std::vector<Place> places_;
  std::vector<bool> arrived_;
  size_t next_ = 0;  // buckets go out in their order, the same on all ranks
  bool prepared_ = false;
};

}  // namespace ld
