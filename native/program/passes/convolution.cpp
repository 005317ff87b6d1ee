// Convolutions of channels_last pictures, and their backward, become operators of our own (kernels/conv2d), which have
// faster ways for 3x3 and 1x1 filters; a sum with the result becomes part of the convolution. Equal up to rounding.
#include <algorithm>
#include <optional>

#include "program/passes/pass.h"
#include "program/passes/uses.h"

namespace ld::program {

namespace {

// The one number of a list of two equal ones.
std::optional<int64_t> square(const Operand& operand) {
  if (!operand.constant.isIntList()) return std::nullopt;
  const auto list = operand.constant.toIntVector();
  if (list.empty() || list.size() > 2 || list.front() != list.back()) return std::nullopt;
  return list.front();
}

// Of the operands (stride, padding, dilation, transposed, output_padding, groups), which begin at `first`.
bool isPlain(const Instruction& instruction, size_t first) {
  const auto& operands = instruction.operands;
  return square(operands[first]) && square(operands[first + 1]) && square(operands[first + 2]) == 1 &&
         !operands[first + 3].constant.toBool() && operands[first + 5].constant.toInt() == 1;
}

bool isPicture(const Program& program, ValueId value) {
  return value != kNoValue && program.values[value].device.is_cpu() && isDense(program.values[value], true);
}

// Ours makes the gradient of weights in rows, libtorch's as the pictures lie: whether that is all the same to its readers.
bool mayBeRows(const Program& program, const Uses& uses, ValueId value) {
  if (value == kNoValue || isDense(program.values[value], false)) return true;
  const auto& found = uses.of(value);
  return !uses.escapes(value) && uses.isPlain(value) && std::all_of(found.begin(), found.end(), [&](const Use& use) {
    const Instruction& reader = program.instructions[use.instruction];
    return isCall(reader, "aten::new_empty_strided") || (isCall(reader, "aten::copy_") && use.operand == 1);
  });
}

void layInRows(Value& value) {
  int64_t stride = 1;
  for (size_t i = value.sizes.size(); i-- > 0;) {
    value.strides[i] = stride;
    stride *= value.sizes[i];
  }
}

// Whether what the convolution reads is the same at a later place.
bool stays(const Program& program, const Instruction& convolution, size_t at, size_t later) {
  for (size_t operand = 0; operand < 3; ++operand) {
    const ValueId value = tensorOf(convolution, operand);
    if (value != kNoValue && isTouched(program, value, at, later, false)) return false;
  }
  return true;
}

}  // namespace

bool useOwnConvolutions(Program& program) {
  const Uses uses(program);
  std::vector<bool> dead(program.instructions.size());
  bool changed = false;
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    const Instruction found = program.instructions[i];
    // convolution(input, weight, bias?, stride, padding, dilation, transposed, output_padding, groups)
    if (isCall(found, "aten::convolution")) {
      ValueId y = found.results[0].values[0];
      const auto stride = square(found.operands[3]), padding = square(found.operands[4]);
      if (!isPlain(found, 3) || !isPicture(program, tensorOf(found, 0)) || !isPicture(program, y)) continue;
      Operand residual = constantOperand(c10::IValue());
      // The sum is taken where it stood: what it adds may be made after the convolution.
      size_t place = i;
      if (!uses.escapes(y) && uses.isPlain(y) && uses.of(y).size() == 1) {
        const Use& use = uses.of(y)[0];
        const Instruction& sum = program.instructions[use.instruction];
        if (isCall(sum, "aten::add", "Tensor") && sum.operands[2].constant.isInt() && sum.operands[2].constant.toInt() == 1) {
          const ValueId other = tensorOf(sum, 1 - use.operand), total = sum.results[0].values[0];
          if (other != kNoValue && other != y && isPicture(program, other) && sameLayout(program.values[other], program.values[y]) &&
              program.values[other].dtype == program.values[y].dtype && sameLayout(program.values[total], program.values[y]) &&
              stays(program, found, i, use.instruction)) {
            residual = sum.operands[1 - use.operand];
            y = total;
            place = use.instruction;
          }
        }
      }
      const Instruction like = program.instructions[place];
      program.instructions[place] = ownCall("landmark_diffusion::conv2d",
                                            {found.operands[0], found.operands[1], found.operands[2], residual,
                                             constantOperand(*stride), constantOperand(*padding)},
                                            {y}, like);
      if (place != i) dead[i] = true;
      changed = true;
    }
    // convolution_backward(grad_output, input, weight, bias_sizes?, stride, padding, dilation, transposed, output_padding,
    // groups, output_mask) -> (dx, dweight, dbias)
    if (isCall(found, "aten::convolution_backward")) {
      const auto stride = square(found.operands[4]), padding = square(found.operands[5]);
      const ValueId dx = found.results[0].values[0], dweight = found.results[1].values[0], dbias = found.results[2].values[0];
      if (!isPlain(found, 4) || !isPicture(program, tensorOf(found, 1)) || (dx != kNoValue && !isPicture(program, dx)) ||
          !mayBeRows(program, uses, dweight)) {
        continue;
      }
      if (dweight != kNoValue) layInRows(program.values[dweight]);
      program.instructions[i] = ownCall("landmark_diffusion::conv2d_backward",
                                        {found.operands[0], found.operands[1], found.operands[2], constantOperand(*stride),
                                         constantOperand(*padding), constantOperand(false), found.operands[10]},
                                        {dx, dweight, dbias}, found);
      changed = true;
    }
  }
  erase(program, dead);
  return changed;
}

}  // namespace ld::program
