// A picture doubled by repetition that nothing but 3x3 convolutions of ours reads is not made: they read the small one
// (kernels/upsample_conv2d), and so does their backward. Equal up to rounding.
#include "program/passes/pass.h"
#include "program/passes/uses.h"

namespace ld::program {

namespace {

bool isInt(const Operand& operand, int64_t value) { return operand.constant.isInt() && operand.constant.toInt() == value; }

bool is3x3(const Program& program, ValueId weight) { return program.values[weight].sizes[2] == 3 && program.values[weight].sizes[3] == 3; }

// conv2d(x, weight, bias?, residual?, stride, padding) with what upsample_conv2d can do.
bool isConvolution(const Program& program, const Instruction& found) {
  if (!isCall(found, "landmark_diffusion::conv2d") || !is3x3(program, tensorOf(found, 1))) return false;
  const ValueId bias = tensorOf(found, 2);
  return (bias == kNoValue || program.values[bias].sizes.size() == 1) && tensorOf(found, 3) == kNoValue && isInt(found.operands[4], 1) &&
         isInt(found.operands[5], 1);
}

// conv2d_backward(dy, x, weight, stride, padding, bias_per_image, output_mask) -> (dx, dweight, dbias)
bool isBackward(const Program& program, const Instruction& found) {
  return isCall(found, "landmark_diffusion::conv2d_backward") && is3x3(program, tensorOf(found, 2)) && isInt(found.operands[3], 1) &&
         isInt(found.operands[4], 1) && !found.operands[5].constant.toBool();
}

struct Backward {
  size_t convolution, upsample;
  ValueId dx;
};

struct Match {
  std::vector<size_t> forward;
  std::vector<Backward> backward;
};

// upsample_nearest2d(x, output_size, scales_h?, scales_w?)
bool matches(const Program& program, const Uses& uses, size_t at, Match& match) {
  const Instruction& upsample = program.instructions[at];
  if (!isCall(upsample, "aten::upsample_nearest2d")) return false;
  const ValueId x = tensorOf(upsample, 0), wide = upsample.results[0].values[0];
  const auto &small = program.values[x].sizes, &large = program.values[wide].sizes;
  if (large[2] != 2 * small[2] || large[3] != 2 * small[3] || uses.escapes(wide) || !uses.isPlain(wide)) return false;
  for (const Use& use : uses.of(wide)) {
    const Instruction& reader = program.instructions[use.instruction];
    if (isTouched(program, x, at, use.instruction, false)) return false;
    if (use.operand == 0 && isConvolution(program, reader)) {
      match.forward.push_back(use.instruction);
      continue;
    }
    if (use.operand != 1 || !isBackward(program, reader)) return false;
    const ValueId dwide = reader.results[0].values[0];
    Backward found{use.instruction, use.instruction, kNoValue};
    if (dwide != kNoValue) {
      // upsample_nearest2d_backward(grad_output, output_size, input_size, scales_h?, scales_w?)
      if (uses.escapes(dwide) || !uses.isPlain(dwide) || uses.of(dwide).size() != 1) return false;
      found.upsample = uses.of(dwide)[0].instruction;
      const Instruction& back = program.instructions[found.upsample];
      if (!isCall(back, "aten::upsample_nearest2d_backward")) return false;
      found.dx = back.results[0].values[0];
      if (!isDense(program.values[found.dx], true)) return false;
    }
    match.backward.push_back(found);
  }
  return !uses.of(wide).empty();
}

}  // namespace

bool convolveUndoubled(Program& program) {
  const Uses uses(program);
  std::vector<bool> dead(program.instructions.size());
  bool changed = false;
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    Match match;
    if (!matches(program, uses, i, match)) continue;
    changed = true;
    dead[i] = true;
    const Operand x = program.instructions[i].operands[0];
    for (const size_t at : match.forward) {
      const Instruction found = program.instructions[at];
      program.instructions[at] =
          ownCall("landmark_diffusion::upsample_conv2d", {x, found.operands[1], found.operands[2]}, {found.results[0].values[0]}, found);
    }
    for (const auto& [convolution, upsample, dx] : match.backward) {
      const Instruction found = program.instructions[convolution];
      program.instructions[convolution] =
          ownCall("landmark_diffusion::upsample_conv2d_backward", {found.operands[0], x, found.operands[2], found.operands[6]},
                  {dx, found.results[1].values[0], found.results[2].values[0]}, found);
      if (upsample != convolution) dead[upsample] = true;
    }
  }
  erase(program, dead);
  return changed;
}

}  // namespace ld::program
