// The device code of spatial_softmax_loss, run on the host. Standard input: logits [images, pixels, channels] in the
// element type, target int64 and mask float32 [images, channels], dnll and dmse float32. Standard output: nll, mse,
// largest and exponentials [images, channels], the gradient of the logits.
#include <string>

#include "arrays.h"
#include "kernels/spatial_softmax_loss/steps.h"

namespace {

using namespace ld;
using namespace ld::softmax_loss;

template <typename T>
bool run(int64_t images, int64_t pixels, int channels, int blocks) {
  const Cut plan = cut(images, pixels, channels, blocks);
  const auto points = static_cast<size_t>(images * channels), size = points * static_cast<size_t>(pixels);
  const Array<T> logits(size), dx(size);
  const Array<int64_t> target(points);
  const Array<float> mask(points), given(2), losses(2), largest(points), exponentials(points), squares(points), coefficients(points * 3);
  const Array<Part> parts(points * static_cast<size_t>(plan.splits));
  if (!(logits.read() && target.read() && mask.read() && given.read())) return false;
  start(Forward<T>{plan, logits.data, target.data, mask.data, parts.data, squares.data, largest.data, exponentials.data, losses.data,
                   losses.data + 1},
        OnHost{});
  start(Backward<T>{cut(images, pixels, channels, 1 << 20), logits.data, dx.data, target.data, mask.data, largest.data,
                    exponentials.data, given.data, given.data + 1, coefficients.data},
        OnHost{});
  losses.write();
  largest.write();
  exponentials.write();
  dx.write();
  return true;
}

}  // namespace

int main(int count, char** words) {
  if (count != 6) return 2;
  const auto number = [&](int i) { return std::atoi(words[i]); };
  const auto call = std::string(words[1]) == "bfloat16" ? run<BFloat16> : run<float>;
  return call(number(2), number(3), number(4), number(5)) ? 0 : 1;
}
