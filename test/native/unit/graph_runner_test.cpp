#include "program/graph_runner.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/zeros.h>

#include "check.h"

namespace ld::test {

namespace {

using namespace ld::program;

c10::OperatorHandle find(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
}

Value valueOf(Value::Origin origin, uint32_t index, uint32_t storage, at::Tensor tensor = {}) {
  Value value;
  value.origin = origin;
  value.index = index;
  value.storage = storage;
  value.tensor = std::move(tensor);
  value.sizes = {3};
  value.strides = {1};
  return value;
}

Operand tensorOperand(ValueId value) { return {Operand::Kind::Tensor, {}, {value}}; }
Operand constantOperand(c10::IValue value) { return {Operand::Kind::Constant, std::move(value), {}}; }

// total += x (an argument, in place); returns x * scale, scale being captured.
Program example(const at::Tensor& scale) {
  Program program;
  program.values = {valueOf(Value::Origin::Input, 0, 0), valueOf(Value::Origin::Input, 1, 1),
                    valueOf(Value::Origin::Captured, 0, 2, scale), valueOf(Value::Origin::Made, 0, 3)};
  program.storages.resize(4);
  program.inputs = {0, 1};
  program.instructions.push_back({find("aten::add_", "Tensor"), {tensorOperand(1), tensorOperand(0), constantOperand(at::Scalar(1))}, {{false, {1}}}});
  program.instructions.push_back({find("aten::mul", "Tensor"), {tensorOperand(0), tensorOperand(2)}, {{false, {3}}}});
  program.outputs = {3};
  return program;
}

// A graph of the CPU's kind: it remembers the work, undoes what recording it did to the inputs (a GPU does nothing
// while it records), and at each replay does it and copies the results to where they were when recorded.
struct Replayed : GraphCapture {
  enum class Fault { None, NotPermitted, OutOfMemory };
  explicit Replayed(int* made, Fault fault = Fault::None) : made(made), fault(fault) {}
  std::vector<at::Tensor> record(const std::vector<at::Generator>&, const std::function<std::vector<at::Tensor>()>& given) override {
    ++*made;
    TORCH_CHECK(fault != Fault::NotPermitted, "operation not permitted when stream is capturing");
    TORCH_CHECK_WITH(OutOfMemoryError, fault != Fault::OutOfMemory, "CUDA out of memory");
    work = given;
    outputs = work();
    return outputs;
  }
  void replay() override {
    const auto results = work();
    for (size_t i = 0; i < results.size(); ++i) outputs[i].copy_(results[i]);
  }
  int* made;
  Fault fault;
  std::function<std::vector<at::Tensor>()> work;
  std::vector<at::Tensor> outputs;
};

const Register equal("a program as a graph does what the interpreter does, at every call", [] {
  at::Tensor scale = at::ones({3}) * 2;
  const auto program = std::make_shared<const Program>(example(scale));
  Interpreter interpreter(program);
  int made = 0;
  GraphRunner runner(interpreter, [&] { return std::make_unique<Replayed>(&made); });
  at::Tensor total = at::zeros({3}), wanted = at::zeros({3});
  std::vector<at::Tensor> kept;
  std::vector<at::Tensor> expected;
  for (int i = 0; i < 10; ++i) {
    const at::Tensor x = at::rand({3});
    kept.push_back(runner.run({{x, total}, {}, nullptr})[0]);
    wanted += x;
    expected.push_back(x * scale);
    check(at::allclose(total, wanted), "an argument that is written to has other values after call " + std::to_string(i));
  }
  for (size_t i = 0; i < kept.size(); ++i) check(at::allclose(kept[i], expected[i]), "a later call changed the result of call " + std::to_string(i));
  check(made == 1 && runner.state() == GraphRunner::State::Captured, "it was captured " + std::to_string(made) + " times");
});

const Register moved("a program is captured anew where a tensor that it captured has moved", [] {
  at::Tensor scale = at::ones({3}) * 2;
  const auto program = std::make_shared<const Program>(example(scale));
  Interpreter interpreter(program);
  int made = 0;
  GraphRunner runner(interpreter, [&] { return std::make_unique<Replayed>(&made); });
  at::Tensor total = at::zeros({3});
  const at::Tensor x = at::ones({3});
  for (int i = 0; i < 5; ++i) runner.run({{x, total}, {}, nullptr});
  check(made == 1, "it was not captured once");
  scale.set_data(at::ones({3}) * 5);
  check(at::allclose(runner.run({{x, total}, {}, nullptr})[0], x * 5), "it computes with the tensor that is gone");
  check(made == 2, "it was not captured anew");
});

const Register refused("a program that cannot be captured is run by the interpreter, with the reason kept", [] {
  const std::pair<Replayed::Fault, const char*> faults[] = {{Replayed::Fault::NotPermitted, "capturing"},
                                                            {Replayed::Fault::OutOfMemory, "out of memory"}};
  for (const auto& [fault, said] : faults) {
    at::Tensor scale = at::ones({3});
    const auto program = std::make_shared<const Program>(example(scale));
    Interpreter interpreter(program);
    int made = 0;
    GraphRunner runner(interpreter, [&, fault = fault] { return std::make_unique<Replayed>(&made, fault); });
    at::Tensor total = at::zeros({3});
    const at::Tensor x = at::ones({3});
    for (int i = 0; i < 6; ++i) runner.run({{x, total}, {}, nullptr});
    check(at::allclose(total, x * 6), "a call was done twice, or not at all");
    check(made == 1 && runner.state() == GraphRunner::State::GivenUp, "it was tried " + std::to_string(made) + " times");
    check(runner.reason().find(said) != std::string::npos, "the reason is " + runner.reason());
  }
});

const Register versions("a replay tells autograd of the captured tensors that it writes to, as the interpreter does", [] {
  at::Tensor weight = at::ones({3});
  Program program = example(weight);
  program.instructions.push_back(
      {find("aten::add_", "Tensor"), {tensorOperand(2), tensorOperand(0), constantOperand(at::Scalar(1))}, {{false, {2}}}});
  Interpreter interpreter(std::make_shared<const Program>(std::move(program)));
  int made = 0;
  GraphRunner runner(interpreter, [&] { return std::make_unique<Replayed>(&made); });
  at::Tensor total = at::zeros({3});
  const at::Tensor x = at::ones({3});
  for (int i = 0; i < 6; ++i) {
    const auto before = weight._version();
    runner.run({{x, total}, {}, nullptr});
    check(weight._version() > before, "call " + std::to_string(i) + " went unnoticed");
  }
  check(made == 1, "it was not captured");
});

// What a GPU's kernel for attention gives outside of a capture: its result on the device, its seed on the CPU.
Program attention() {
  Program program;
  program.storages.resize(3);
  for (uint32_t v = 0; v < 3; ++v) {
    program.values.push_back(valueOf(v == 0 ? Value::Origin::Input : Value::Origin::Made, 0, v));
    program.values.back().device = at::Device(v < 2 ? at::kCUDA : at::kCPU, v < 2 ? 0 : -1);
  }
  program.inputs = {0};
  program.instructions.push_back({find("aten::_scaled_dot_product_efficient_attention", ""), {tensorOperand(0)},
                                  {{false, {1}}, {false, {kNoValue}}, {false, {2}}, {false, {2}}}});
  program.instructions.push_back({find("aten::_scaled_dot_product_efficient_attention_backward", ""), {tensorOperand(1), tensorOperand(2)}, {}});
  program.outputs = {1};
  return program;
}

const Register seeds("the seed that attention keeps on the CPU is no reason against a graph, other tensors there are", [] {
  Program program = attention();
  check(!whyNoGraph(program, at::kCUDA), "attention is refused: " + whyNoGraph(program, at::kCUDA).value_or(""));
  program.instructions.push_back({find("aten::neg", ""), {tensorOperand(2)}, {}});
  check(whyNoGraph(program, at::kCUDA).value_or("") == "it has a tensor on cpu", "a seed that is computed with is not refused");
  program = attention();
  program.instructions[0].op = find("aten::_to_copy", "");
  check(whyNoGraph(program, at::kCUDA).value_or("") == "it has a tensor on cpu", "a copy to the CPU is not refused");
});

const Register positions("a choice by positions can be in a graph, one by a mask cannot", [] {
  Program program = example(at::ones({3}));
  program.instructions.push_back({find("aten::index", "Tensor"), {tensorOperand(0), {Operand::Kind::OptionalTensorList, {}, {kNoValue, 1}}}, {{false, {kNoValue}}}});
  program.values[1].dtype = at::kLong;
  check(!whyNoGraph(program, at::kCPU), "positions are refused: " + whyNoGraph(program, at::kCPU).value_or(""));
  program.values[1].dtype = at::kBool;
  check(whyNoGraph(program, at::kCPU).value_or("") == "aten::index.Tensor asks for values", "a mask is not refused");
});

const Register reasons("programs that no graph can do are told apart", [] {
  const at::Tensor scale = at::ones({3});
  const auto reason = [](const Program& program, at::DeviceType device = at::kCPU) { return whyNoGraph(program, device).value_or(""); };
  const auto says = [](const std::string& text, const char* part) { check(text.find(part) != std::string::npos, "'" + text + "' does not say " + part); };
  check(reason(example(scale)).empty(), "a good one is refused: " + reason(example(scale)));
  says(reason(example(scale), at::kCUDA), "on cpu");
  Program program = example(scale);
  program.values[3].origin = Value::Origin::Gradient;
  says(reason(program), "gradients that were there");
  program = example(scale);
  program.gradientOutputs.push_back({2, 3});
  says(reason(program), "leaves gradients");
  program = example(scale);
  program.outputs = {0};
  says(reason(program), "returns an argument");
  program = example(scale);
  program.instructions.push_back({find("aten::nonzero", ""), {tensorOperand(0)}, {{false, {kNoValue}}}});
  says(reason(program), "aten::nonzero asks for values");
});

}  // namespace

}  // namespace ld::test
