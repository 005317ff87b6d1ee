#include "distributed/reducer.h"

#include <ATen/ScalarOps.h>
#include <ATen/ops/div.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include "runtime/callback.h"

namespace ld {

struct Reducer::Hook final : torch::autograd::PostAccumulateGradHook {
  Hook(std::weak_ptr<Reducer> reducer, size_t parameter) : reducer(std::move(reducer)), parameter(parameter) {}
  void operator()(const at::Tensor&) override {
    if (const auto alive = reducer.lock()) alive->ready(parameter);
  }
  const std::weak_ptr<Reducer> reducer;
  const size_t parameter;
};

std::shared_ptr<Reducer> Reducer::make(std::shared_ptr<Group> group, std::vector<at::Tensor> parameters,
                                       size_t bucketBytes) {
  for (size_t i = 0; i < parameters.size(); ++i) {
    TORCH_CHECK(parameters[i].is_leaf() && parameters[i].requires_grad(), "parameter ", i,
                " is no leaf that requires a gradient");
    TORCH_CHECK(parameters[i].is_non_overlapping_and_dense(), "parameter ", i, " is not dense");
    TORCH_CHECK(!torch::autograd::impl::post_acc_grad_hooks(parameters[i]), "parameter ", i,
                " belongs to a reducer already: dispose() that one first");
  }
  const std::shared_ptr<Reducer> reducer(new Reducer(std::move(group), std::move(parameters)));
  reducer->fill(bucketBytes);
  for (size_t i = 0; i < reducer->parameters_.size(); ++i) {
    torch::autograd::impl::set_post_acc_grad_hooks(reducer->parameters_[i], std::make_unique<Hook>(reducer, i));
  }
  return reducer;
}

Reducer::Reducer(std::shared_ptr<Group> group, std::vector<at::Tensor> parameters)
    : group_(std::move(group)), parameters_(std::move(parameters)), places_(parameters_.size()), arrived_(parameters_.size()) {}

Reducer::~Reducer() {
  for (const auto& parameter : parameters_) torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
}

void Reducer::fill(size_t bucketBytes) {
  const at::NoGradGuard guard;
  size_t bytes = 0;
  for (size_t i = parameters_.size(); i-- > 0;) {
    const at::Tensor& parameter = parameters_[i];
    const bool same = !buckets_.empty() && parameters_[buckets_.back().members[0]].options().type_equal(parameter.options());
    const size_t limit = buckets_.size() == 1 ? std::min(kFirstBucketBytes, bucketBytes) : bucketBytes;
    if (!same || bytes >= limit) {
      buckets_.emplace_back();
      bytes = 0;
    }
    places_[i] = {buckets_.size() - 1, buckets_.back().members.size()};
    buckets_.back().members.push_back(i);
    bytes += parameter.nbytes();
  }
  for (auto& bucket : buckets_) {
    int64_t count = 0;
    for (const size_t i : bucket.members) count += parameters_[i].numel();
    bucket.flat = at::empty({count}, parameters_[bucket.members[0]].options().requires_grad(false));
    count = 0;
    for (const size_t i : bucket.members) {
      const at::Tensor& parameter = parameters_[i];
      bucket.views.push_back(bucket.flat.as_strided(parameter.sizes(), parameter.strides(), count));
      count += parameter.numel();
    }
  }
}

void Reducer::prepare() {
  for (auto& bucket : buckets_) {
    bucket.missing = bucket.members.size();
    bucket.sending.reset();
  }
  arrived_.assign(parameters_.size(), false);
  next_ = 0;
  prepared_ = true;
}

void Reducer::ready(size_t parameter) {
  if (!prepared_) return;
  TORCH_CHECK(!arrived_[parameter], "parameter ", parameter,
              " got a second gradient after prepare(): one backward pass may lie between prepare() and finish()");
  arrived_[parameter] = true;
  const at::NoGradGuard guard;
  auto& bucket = buckets_[places_[parameter].bucket];
  // Divided before the sum, which a half-precision type then holds as well as its terms.
  at::Tensor view = bucket.views[places_[parameter].member];
  at::div_out(view, parameters_[parameter].grad(), at::native::wrapped_scalar_tensor(group_->size()));
  --bucket.missing;
  while (next_ < buckets_.size() && buckets_[next_].missing == 0) send(buckets_[next_++]);
}

void Reducer::send(Bucket& bucket) { bucket.sending = group_->allReduce(bucket.flat, c10d::ReduceOp::SUM); }

Gates Reducer::sent() {
  TORCH_CHECK(prepared_, "finish() without prepare() before the backward pass");
  prepared_ = false;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    TORCH_CHECK(arrived_[i], "parameter ", i,
                " got no gradient in the backward pass after prepare(): every parameter must take part on every rank");
  }
  Gates gates;
  for (const auto& bucket : buckets_) gates.push_back(bucket.sending);
  return gates;
}

void Reducer::finish() {
  const at::NoGradGuard guard;
  for (auto& bucket : buckets_) {
    if (bucket.sending->failure) throw CallbackError(bucket.sending->failure);
    bucket.sending->order();
    for (size_t i = 0; i < bucket.members.size(); ++i) parameters_[bucket.members[i]].mutable_grad() = bucket.views[i];
  }
}

}  // namespace ld
