#include "kernels/capability.h"

#include <ATen/Version.h>

namespace ld {

Capability capability() {
  static const Capability found = [] {
    const std::string name = at::get_cpu_capability();
    if (name == "AVX512") return Capability::Avx512;
    return name == "AVX2" ? Capability::Avx2 : Capability::Default;
  }();
  return found;
}

}  // namespace ld
