#include "program/passes/pass.h"

namespace ld::program {

const std::vector<Pass>& passes() {
  static const std::vector<Pass> all{
      {"identities", true, &dropIdentities},
      // Not by default: results are those of the function only up to rounding.
      {"groupNormSilu", false, &fuseGroupNormSilu},
      {"convolution", false, &useOwnConvolutions},
      // Reads what the pass before it makes.
      {"upsampleConvolution", false, &convolveUndoubled},
      {"preparedWeights", true, &prepareWeights},
      {"deadCode", true, &dropDeadCode},
  };
  return all;
}

std::vector<std::string> runPasses(Program& program, const std::function<bool(const Pass&)>& isOn) {
  std::vector<std::string> changed;
  for (const Pass& pass : passes()) {
    if (isOn(pass) && pass.run(program)) changed.emplace_back(pass.name);
  }
  return changed;
}

}  // namespace ld::program
