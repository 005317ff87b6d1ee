// A recorded program: the operators that a function ran below autograd, in order, as data. The backward pass,
// an optimiser's step and an average of weights are instructions like any other.
//
// What a pass may rely on, and must keep:
// - Instructions run from the first to the last. A value is made by one instruction and used by later ones only.
// - An instruction writes to its operands exactly where its operator's schema says so (writes()). The result of
//   an operator in place is no new value.
// - Values of one storage share memory: an instruction that writes to one changes all of them. Values of
//   different storages never do.
// - Captured and input tensors belong to others; what is written to them is seen outside.
// - Whatever else an operator does (random numbers) happens once for each of its instructions, in their order.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ld::program {

using ValueId = uint32_t;
constexpr ValueId kNoValue = ~0u;

// A tensor of the program.
struct Value {
  enum class Origin : uint8_t {
    Made,      // by an instruction
    Input,     // number `index` of the call
    Captured,  // `tensor`, made outside: a parameter, a constant of the function
    Gradient,  // what .grad of value `index` holds when the replay begins
  };
  Origin origin = Origin::Made;
  uint32_t index = 0;
  at::Tensor tensor;

  // As it was when recorded; replays have the same.
  std::vector<int64_t> sizes, strides;
  int64_t offset = 0;
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
  uint32_t storage = 0;
};

struct Storage {
  size_t bytes = 0;
};

// An argument of an instruction.
struct Operand {
  enum class Kind : uint8_t {
    Constant,            // `constant`: also None, and the undefined tensor
    Tensor,              // values[0]
    TensorList,          // values; kNoValue for an undefined one
    OptionalTensorList,  // values; kNoValue for an absent one
    Generator,           // number values[0] of the generators of the call
  };
  Kind kind = Kind::Constant;
  c10::IValue constant;
  std::vector<ValueId> values;

  bool holdsTensors() const { return kind != Kind::Constant && kind != Kind::Generator; }
};

// A result of an instruction: one value, or those of a list. kNoValue where there is none (an undefined tensor,
// a number); the value of the argument where it is one, in place or out=.
struct Result {
  bool isList = false;
  std::vector<ValueId> values;
};

struct Instruction {
  c10::OperatorHandle op;
  std::vector<Operand> operands;  // as the schema's arguments, all of them
  std::vector<Result> results;    // as the schema's returns
  bool grad = false;              // gradients were enabled: some kernels choose by it
  uint32_t trace = 0;             // key of the JavaScript stack of the call
};

// Where .grad of a tensor points when the program has run.
struct GradientOutput {
  ValueId owner;
  ValueId value;  // kNoValue: it was cleared
};

// What .grad of a tensor must be when a replay begins.
struct GradientState {
  ValueId owner;
  bool defined;
};

struct Program {
  std::vector<Value> values;
  std::vector<Storage> storages;
  std::vector<Instruction> instructions;
  std::vector<ValueId> inputs;  // kNoValue for one that nothing uses
  uint32_t generators = 0;
  std::vector<ValueId> outputs;
  std::vector<GradientOutput> gradientOutputs;
  std::vector<GradientState> gradientStates;
};

// Whether argument `index` of the instruction is written to.
bool writes(const Instruction& instruction, size_t index);
// Whether leaving the instruction out changes nothing when no result is used: it writes nothing and draws nothing.
bool isPure(const Instruction& instruction);

// Calls visit(value) for every tensor that the instruction reads or writes.
template <typename Visit>
void forEachUse(const Instruction& instruction, Visit visit) {
  for (const Operand& operand : instruction.operands) {
    if (!operand.holdsTensors()) continue;
    for (const ValueId value : operand.values) {
      if (value != kNoValue) visit(value);
    }
  }
}

// Calls visit(value) for every value that the instruction makes, or returns after writing to it.
template <typename Visit>
void forEachResult(const Instruction& instruction, Visit visit) {
  for (const Result& result : instruction.results) {
    for (const ValueId value : result.values) {
      if (value != kNoValue) visit(value);
    }
  }
}

// Calls visit(value) for what the program must still hold at its end: outputs and gradients.
template <typename Visit>
void forEachEscaping(const Program& program, Visit visit) {
  for (const ValueId value : program.outputs) {
    if (value != kNoValue) visit(value);
  }
  for (const GradientOutput& output : program.gradientOutputs) {
    if (output.value != kNoValue) visit(output.value);
  }
}

// One line an instruction: "%7: float32[8, 16] = aten::mm(%3, %6)  # <where>", where(trace) tells the line.
std::string print(const Program& program, const std::vector<std::string>& lines);

}  // namespace ld::program
