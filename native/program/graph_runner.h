// Runs a program as one graph of the device: captured once, then launched as a whole, where the interpreter would
// start its kernels one by one. What the device does is behind GraphCapture, so that all else here is tested
// without one. After "CUDA Graph best practice" of NVIDIA's documentation and torch.cuda.graphs.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "program/interpreter.h"

namespace ld::program {

// Records what `work` queues on the current stream, without doing it, and does all of it at each replay. What
// `work` makes lies in memory of the graph's own, at the same place each time.
class GraphCapture {
 public:
  virtual ~GraphCapture() = default;
  // Replays advance these generators, and the device's default one.
  virtual std::vector<at::Tensor> record(const std::vector<at::Generator>& generators,
                                         const std::function<std::vector<at::Tensor>()>& work) = 0;
  virtual void replay() = 0;
};

// Why the program cannot be a graph of such a device; nothing where it can. A graph fixes addresses and skips the
// host: no tensor may be elsewhere, and no instruction may ask for a value or leave gradients behind.
std::optional<std::string> whyNoGraph(const Program& program, at::DeviceType device);

class GraphRunner {
 public:
  using MakeCapture = std::function<std::unique_ptr<GraphCapture>()>;

  // The interpreter is the caller's. `make` gives a fresh capture; it is used again where tensors have moved.
  GraphRunner(Interpreter& interpreter, MakeCapture make);

  // As Interpreter::run. The first calls are run by the interpreter, so that libraries are set up and algorithms
  // chosen, on the stream that the capture will be on; then the program is captured, and replayed from then on.
  std::vector<at::Tensor> run(const Interpreter::Call& call);

  enum class State { WarmingUp, Captured, GivenUp };
  // Any thread; the reason is there once the state is GivenUp.
  State state() const { return state_.load(); }
  const std::string& reason() const { return reason_; }

  static constexpr int kWarmUps = 3;

 private:
  struct Captured {
    std::unique_ptr<GraphCapture> graph;
    std::vector<at::Tensor> inputs;   // of the graph's own: each call is copied into them
    std::vector<at::Tensor> outputs;  // the next replay writes over them
    std::vector<void*> addresses;     // of captured tensors
    std::vector<at::Generator> generators;
  };

  bool fits(const Interpreter::Call& call) const;
  void capture(const Interpreter::Call& call);
  std::vector<at::Tensor> replay(const Interpreter::Call& call);
  std::vector<void*> addresses() const;

  Interpreter& interpreter_;
  const MakeCapture make_;
  std::vector<size_t> written_;  // inputs that the program writes to
  std::vector<at::Tensor> changed_;  // captured tensors that it writes to
  std::vector<bool> own_;        // per output: it is a tensor captured from outside, and belongs there
  std::optional<Captured> captured_;
  std::atomic<State> state_{State::WarmingUp};
  std::string reason_;
  int warmUps_ = 0;
};

}  // namespace ld::program
