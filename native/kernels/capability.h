// Loops that are compiled once for each instruction set, as libtorch does with its own. A file named vector.cpp is
// built three times (CMakeLists.txt), with CPU_CAPABILITY set to DEFAULT, AVX2 or AVX512, and defines its functions in
// the namespace of that name; the choice falls at run time, so that one build runs on every x86-64.
#pragma once

// Declares the same things in the namespace of every capability.
#define LD_FOR_EACH_CAPABILITY(...) \
  namespace DEFAULT {               \
  __VA_ARGS__                       \
  }                                 \
  namespace AVX2 {                  \
  __VA_ARGS__                       \
  }                                 \
  namespace AVX512 {                \
  __VA_ARGS__                       \
  }

// The function of this name for the processor at hand: LD_BEST(moments<float>).
#ifdef LD_X86_KERNELS
#define LD_BEST(...) ::ld::best(&DEFAULT::__VA_ARGS__, &AVX2::__VA_ARGS__, &AVX512::__VA_ARGS__)
#else
#define LD_BEST(...) (&DEFAULT::__VA_ARGS__)
#endif

namespace ld {

enum class Capability { Default, Avx2, Avx512 };

// What libtorch chose for this process; ATEN_CPU_CAPABILITY lowers it.
Capability capability();

template <typename Function>
Function best(Function plain, Function avx2, Function avx512) {
  switch (capability()) {
    case Capability::Avx512:
      return avx512;
    case Capability::Avx2:
      return avx2;
    default:
      return plain;
  }
}

}  // namespace ld
