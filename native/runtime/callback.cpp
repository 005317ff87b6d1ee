#include "runtime/callback.h"

#include <ATen/ThreadLocalState.h>
#include <ATen/core/grad_mode.h>

#include "runtime/executor.h"
#include "runtime/session.h"

namespace ld {

namespace {

[[noreturn]] void fail(std::string message) {
  auto failure = std::make_shared<Failure>();
  failure->op = "callback";
  failure->message = std::move(message);
  throw CallbackError(std::move(failure));
}

}  // namespace

Callback::~Callback() {
  if (const auto session = session_.lock()) session->release(function_);
}

std::vector<at::Tensor> Callback::call(std::vector<at::Tensor> arguments, std::vector<bool> flags) const {
  const auto session = session_.lock();
  if (!session || session->closing.load()) fail("the environment of the function has ended");
  auto& executor = Executor::instance();
  // Beyond 60 passes inside each other libtorch goes on in another thread, which may not touch a table.
  if (!executor.isThisThread()) fail("backward passes are nested too deeply");

  const auto request = std::make_shared<CallbackRequest>();
  request->function = function_;
  request->arguments = std::move(arguments);
  request->flags = std::move(flags);
  request->grad = at::GradMode::is_enabled();
  request->pass = session->pass;
  // What the function queues runs as at top level, not in the thread-local state of the pass.
  const at::ThreadLocalStateGuard plain(executor.plainState());
  executor.await(*session, request);
  if (request->failure) throw CallbackError(request->failure);
  return std::move(request->results);
}

}  // namespace ld
