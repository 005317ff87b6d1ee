// Runs a program: its operators one after another, below autograd, with nothing of JavaScript in between.
// Knows of no device; what runs where is decided by the tensors.
#pragma once

#include <ATen/core/stack.h>

#include <functional>
#include <memory>
#include <vector>

#include "dispatch/guards.h"
#include "program/ir.h"
#include "program/memory_plan.h"

namespace ld::program {

class Interpreter {
 public:
  explicit Interpreter(std::shared_ptr<const Program> program);

  struct Call {
    std::vector<at::Tensor> inputs;
    std::vector<at::Generator> generators;
    // Asked before each instruction: whether to give up.
    std::function<bool()> stop;
  };

  // The outputs. Executor thread, or whichever owns the device; never two runs at a time. When it throws, what was
  // written to captured tensors and inputs so far stays written, as without a program.
  std::vector<at::Tensor> run(const Call& call);

  // The instruction at which the last run threw.
  const Instruction* failed() const { return failed_; }
  const Program& program() const { return *program_; }
  const MemoryPlan& memory() const { return plan_; }

 private:
  // What is pushed onto the stack for one argument.
  struct Push {
    enum class Kind : uint8_t { Constant, Tensor, List, OptionalList, Generator };
    Kind kind;
    bool last;           // of a tensor: nothing uses it later
    uint32_t index;      // of constants_, registers_, elements_ or the call's generators
    uint32_t count = 0;  // of a list
  };
  struct Element {
    ValueId value;
    bool last;
  };
  struct Step {
    uint32_t firstPush, pushes;
    uint32_t firstStore;
    bool grad;
    // Values that are indices may be others than those of the recording.
    Guard guard;
  };

  void prepare();
  void preparePushes(const Instruction& instruction, uint32_t place);
  void prepareStores(const Instruction& instruction, uint32_t place, std::vector<bool>& defined);
  void markLast(uint32_t firstPush, uint32_t place);
  bool isCaptured(ValueId value) const;
  void begin(const Call& call);
  void execute(const Call& call);
  void push(const Push& push, const Call& call);
  void store(const Step& step, const Instruction& instruction);
  at::Tensor take(const Element& element);
  std::vector<at::Tensor> end();

  const std::shared_ptr<const Program> program_;
  const MemoryPlan plan_;
  std::vector<Step> steps_;
  std::vector<Push> pushes_;
  std::vector<c10::IValue> constants_;
  std::vector<Element> elements_;
  std::vector<ValueId> stores_;  // by result, the elements of a list one by one: kNoValue for what nobody uses
  std::vector<ValueId> gradients_, captured_, written_;  // of outside
  std::vector<ValueId> left_;    // still in registers_ when the program has run
  std::vector<at::Tensor> registers_;
  torch::jit::Stack stack_;
  const Instruction* failed_ = nullptr;
};

}  // namespace ld::program
