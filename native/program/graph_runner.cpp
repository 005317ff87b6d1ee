#include "program/graph_runner.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_strided.h>

#include <algorithm>
#include <set>
#include <sstream>

namespace ld::program {

namespace {

bool asksForValues(const Program& program, const Instruction& instruction) {
  const auto& name = instruction.op.operator_name().name;
  if (name == "aten::index" || name == "aten::_unsafe_index") {
    // With positions the shape is known, with masks it is not.
    return std::any_of(instruction.operands[1].values.begin(), instruction.operands[1].values.end(), [&](ValueId index) {
      return index != kNoValue && (program.values[index].dtype == at::kBool || program.values[index].dtype == at::kByte);
    });
  }
  const auto tags = instruction.op.getTags();
  return std::any_of(tags.begin(), tags.end(), [](at::Tag tag) {
    return tag == at::Tag::dynamic_output_shape || tag == at::Tag::data_dependent_output;
  });
}

// Attention's kernels keep the seed of their dropout on the CPU, but on the device while a graph is captured
// (libtorch's "Note [Seed and Offset Device]"), and hand it to their backward kernels only.
std::set<ValueId> attentionSeeds(const Program& program) {
  std::set<ValueId> seeds;
  for (const Instruction& instruction : program.instructions) {
    const auto& name = instruction.op.operator_name().name;
    if (name.find("attention") == std::string::npos || name.ends_with("_backward")) continue;
    forEachResult(instruction, [&](ValueId value) { seeds.insert(value); });
  }
  for (const Instruction& instruction : program.instructions) {
    if (instruction.op.operator_name().name.find("attention") != std::string::npos) continue;
    forEachUse(instruction, [&](ValueId value) { seeds.erase(value); });
  }
  return seeds;
}

}  // namespace

std::optional<std::string> whyNoGraph(const Program& program, at::DeviceType device) {
  std::set<c10::DeviceIndex> devices;
  const std::set<ValueId> seeds = attentionSeeds(program);
  for (ValueId v = 0; v < program.values.size(); ++v) {
    const Value& value = program.values[v];
    if (value.device.type() != device) {
      if (value.device.is_cpu() && seeds.contains(v)) continue;
      return "it has a tensor on " + value.device.str();
    }
    devices.insert(value.device.index());
    if (value.origin == Value::Origin::Gradient) return "it adds to gradients that were there before it";
  }
  if (program.values.empty()) return "it has no tensors";
  if (devices.size() > 1) return "it uses several devices";
  for (const GradientOutput& output : program.gradientOutputs) {
    if (output.value != kNoValue) return "it leaves gradients behind: let it clear them";
  }
  for (const Instruction& instruction : program.instructions) {
    const auto name = c10::toString(instruction.op.operator_name());
    if (asksForValues(program, instruction)) return name + " asks for values";
    if (name.ends_with("rng_state") || name.ends_with("rng_state_")) return name + " belongs to the CPU";
  }
  for (const ValueId output : program.outputs) {
    if (output != kNoValue && program.values[output].origin == Value::Origin::Input) return "it returns an argument";
  }
  return std::nullopt;
}

GraphRunner::GraphRunner(Interpreter& interpreter, MakeCapture make)
    : interpreter_(interpreter), make_(std::move(make)) {
  const Program& program = interpreter_.program();
  std::set<ValueId> written;
  for (const Instruction& instruction : program.instructions) {
    for (size_t a = 0; a < instruction.operands.size(); ++a) {
      if (!instruction.operands[a].holdsTensors() || !writes(instruction, a)) continue;
      for (const ValueId value : instruction.operands[a].values) {
        if (value != kNoValue) written.insert(value);
      }
    }
  }
  // A view of an input shares its storage: what is written to the one is written to the other.
  std::set<uint32_t> storages;
  for (const ValueId value : written) {
    storages.insert(program.values[value].storage);
    if (program.values[value].origin == Value::Origin::Captured) changed_.push_back(program.values[value].tensor);
  }
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    const ValueId input = program.inputs[i];
    if (input != kNoValue && storages.contains(program.values[input].storage)) written_.push_back(i);
  }
  std::set<uint32_t> outside;
  for (const Value& value : program.values) {
    if (value.origin == Value::Origin::Captured) outside.insert(value.storage);
  }
  for (const ValueId output : program.outputs) {
    own_.push_back(output != kNoValue && outside.contains(program.values[output].storage));
  }
}

std::vector<at::Tensor> GraphRunner::run(const Interpreter::Call& call) {
  if (captured_ && !fits(call)) captured_.reset();
  if (!captured_ && state_ != State::GivenUp && warmUps_ >= kWarmUps) capture(call);
  if (captured_) return replay(call);
  ++warmUps_;
  return interpreter_.run(call);
}

bool GraphRunner::fits(const Interpreter::Call& call) const {
  return captured_->generators == call.generators && captured_->addresses == addresses();
}

std::vector<void*> GraphRunner::addresses() const {
  std::vector<void*> result;
  for (const Value& value : interpreter_.program().values) {
    if (value.origin == Value::Origin::Captured) result.push_back(value.tensor.unsafeGetTensorImpl()->storage().mutable_data());
  }
  return result;
}

void GraphRunner::capture(const Interpreter::Call& call) {
  const at::NoGradGuard noGrad;
  Captured made;
  try {
    for (const at::Tensor& input : call.inputs) {
      made.inputs.push_back(at::empty_strided(input.sizes(), input.strides(), input.options()));
      made.inputs.back().copy_(input);
    }
    made.generators = call.generators;
    made.graph = make_();
    const Interpreter::Call fixed{made.inputs, call.generators, nullptr};
    made.outputs = made.graph->record(call.generators, [this, fixed] { return interpreter_.run(fixed); });
    made.addresses = addresses();
    captured_ = std::move(made);
    state_ = State::Captured;
  } catch (const c10::Error& e) {
    // Nothing was done yet, so the interpreter can do it; in less memory too, where that is what was missing.
    reason_ = e.what_without_backtrace();
    state_ = State::GivenUp;
  }
}

std::vector<at::Tensor> GraphRunner::replay(const Interpreter::Call& call) {
  const at::NoGradGuard noGrad;
  for (size_t i = 0; i < call.inputs.size(); ++i) captured_->inputs[i].copy_(call.inputs[i], /*non_blocking=*/true);
  captured_->graph->replay();
  for (const size_t i : written_) {
    at::Tensor input = call.inputs[i];
    input.copy_(captured_->inputs[i], /*non_blocking=*/true);
  }
  for (const at::Tensor& tensor : changed_) tensor.unsafeGetTensorImpl()->bump_version();
  std::vector<at::Tensor> outputs;
  for (size_t i = 0; i < captured_->outputs.size(); ++i) {
    const at::Tensor& output = captured_->outputs[i];
    outputs.push_back(!output.defined() || own_[i] ? output : output.clone());
  }
  return outputs;
}

}  // namespace ld::program
