#include "kernels/conv2d/product.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "kernels/conv2d/vector.h"

namespace ld {

at::Tensor product(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias, const at::Tensor& residual) {
  using namespace winograd;
  const int64_t rows = a.size(0), count = a.size(1), columns = b.size(1), width = LD_BEST(panelWidth)();
  const int64_t panels = (columns + width - 1) / width;
  const at::Tensor packed = at::empty({panels * count * width}, a.options()), c = at::empty({rows, columns}, a.options());
  float* const right = packed.mutable_data_ptr<float>();
  at::parallel_for(0, panels, 1, [&](int64_t first, int64_t last) {
    LD_BEST(packPanels)(b.const_data_ptr<float>(), b.stride(0), b.stride(1), count, columns, first, last, right);
  });
  const at::Tensor shared = bias.defined() ? bias.contiguous() : bias, added = residual.defined() ? residual.contiguous() : residual;
  const auto from = [](const at::Tensor& addend, int64_t first) {
    return addend.defined() ? addend.const_data_ptr<float>() + first : nullptr;
  };
  // Rows a thread takes at once: a multiple of what is held in registers, and some work.
  const int64_t grain = std::max<int64_t>(48, 65536 / std::max<int64_t>(1, count * columns) / 48 * 48);
  at::parallel_for(0, rows, grain, [&](int64_t first, int64_t last) {
    LD_BEST(multiplyPanels)(last - first, count, columns, a.const_data_ptr<float>() + first * a.stride(0), a.stride(0), a.stride(1), right,
                            from(shared, 0), from(added, first * columns), c.mutable_data_ptr<float>() + first * columns, columns);
  });
  return c;
}

}  // namespace ld
