#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/spatial_softmax_loss/spatial_softmax_loss.h"
#include "kernels/spatial_softmax_loss/vector.h"

namespace ld {

namespace softmax_loss {

namespace {

constexpr int64_t kChunk = 8192;  // elements that stay in the first cache between the largest and the sum

struct Shape {
  Shape(const at::Tensor& x, bool last) : images(x.size(0)), channels(x.size(1)), pixels(x.size(2) * x.size(3)), last(last) {
    pixelsPerChunk = last ? std::max<int64_t>(1, kChunk / std::max<int64_t>(channels, 1)) : kChunk;
    chunks = (pixels + pixelsPerChunk - 1) / pixelsPerChunk;
  }

  // Where element [image, channel, pixel] lies.
  int64_t at(int64_t image, int64_t channel, int64_t pixel) const {
    return last ? (image * pixels + pixel) * channels + channel : (image * channels + channel) * pixels + pixel;
  }

  int64_t images, channels, pixels;
  bool last;
  int64_t pixelsPerChunk, chunks;
};

bool isLast(const at::Tensor& x) { return !x.is_contiguous() && x.is_contiguous(at::MemoryFormat::ChannelsLast); }

at::Tensor dense(const at::Tensor& x) { return isLast(x) ? x : x.contiguous(); }

// Calls visit(offset, rows, length, first channel, slot) for every part: of all channels of an image (Last), or of one.
template <typename Visit>
void forEachPart(const Shape& shape, const Visit& visit) {
  const int64_t lanes = shape.last ? shape.images : shape.images * shape.channels;
  at::parallel_for(0, lanes * shape.chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t lane = i / shape.chunks, first = i % shape.chunks * shape.pixelsPerChunk;
      const int64_t count = std::min(shape.pixelsPerChunk, shape.pixels - first);
      if (shape.last) {
        visit(shape.at(lane, 0, first), count, shape.channels, lane * shape.channels, i * shape.channels);
      } else {
        visit(shape.at(0, lane, first), int64_t{1}, count, lane, i);
      }
    }
  });
}

// A target counts where its mask is not 0, and must then lie inside the picture.
int64_t targetOf(const int64_t* target, int64_t i, const Shape& shape) {
  TORCH_CHECK(target[i] >= 0 && target[i] < shape.pixels, "target ", target[i], " lies outside the ", shape.pixels, " pixels");
  return target[i];
}

double knownOf(const float* mask, int64_t count) {
  double known = 0;
  for (int64_t i = 0; i < count; ++i) known += mask[i];
  return std::max(known, 1.0);
}

template <typename T>
void forward(const Shape& shape, const T* x, const int64_t* target, const float* mask, acc_t<T>* nll, acc_t<T>* mse, acc_t<T>* tops,
             acc_t<T>* sums) {
  using A = acc_t<T>;
  const int64_t channels = shape.images * shape.channels;
  std::vector<A> largest(static_cast<size_t>(channels * shape.chunks)), exponentials(largest.size()), squares(largest.size());
  const auto kernel = shape.last ? LD_BEST(parts<T, true>) : LD_BEST(parts<T, false>);
  forEachPart(shape, [&](int64_t offset, int64_t rows, int64_t length, int64_t, int64_t slot) {
    kernel(x + offset, rows, length, largest.data() + slot, exponentials.data() + slot, squares.data() + slot);
  });
  double likelihood = 0, error = 0;
  for (int64_t i = 0; i < channels; ++i) {
    const int64_t image = i / shape.channels, channel = i % shape.channels;
    const auto slot = [&](int64_t chunk) {
      return static_cast<size_t>(shape.last ? (image * shape.chunks + chunk) * shape.channels + channel : i * shape.chunks + chunk);
    };
    double top = -std::numeric_limits<double>::infinity(), sum = 0, squared = 0;
    for (int64_t chunk = 0; chunk < shape.chunks; ++chunk) {
      const double value = largest[slot(chunk)];
      if (value > top || std::isnan(value)) top = value;
    }
    for (int64_t chunk = 0; chunk < shape.chunks; ++chunk) {
      sum += exponentials[slot(chunk)] * std::exp(static_cast<double>(largest[slot(chunk)]) - top);
      squared += squares[slot(chunk)];
    }
    tops[i] = static_cast<A>(top);
    sums[i] = static_cast<A>(sum);
    if (mask[i] == 0) continue;
    const double picked = static_cast<double>(x[shape.at(image, channel, targetOf(target, i, shape))]);
    const double hot = 2.0 * mask[i] - 1;
    squared += (picked - hot) * (picked - hot) - (picked + 1) * (picked + 1);
    likelihood += mask[i] * (top + std::log(sum) - picked);
    error += mask[i] * squared / static_cast<double>(shape.pixels);
  }
  const double known = knownOf(mask, channels);
  *nll = static_cast<A>(likelihood / known);
  *mse = static_cast<A>(error / known);
}

template <typename T>
void backward(const Shape& shape, double dnll, double dmse, const T* x, T* dx, const int64_t* target, const float* mask,
              const acc_t<T>* largest, const acc_t<T>* exponentials) {
  using A = acc_t<T>;
  const int64_t channels = shape.images * shape.channels;
  const double known = knownOf(mask, channels);
  std::vector<A> p(static_cast<size_t>(channels)), q(p.size());
  for (size_t i = 0; i < p.size(); ++i) {
    p[i] = static_cast<A>(mask[i] * dnll / known / static_cast<double>(exponentials[i]));
    q[i] = static_cast<A>(2 * mask[i] * dmse / known / static_cast<double>(shape.pixels));
  }
  const auto kernel = shape.last ? LD_BEST(gradient<T, true>) : LD_BEST(gradient<T, false>);
  forEachPart(shape, [&](int64_t offset, int64_t rows, int64_t length, int64_t channel, int64_t) {
    kernel(x + offset, dx + offset, rows, length, largest + channel, p.data() + channel, q.data() + channel);
  });
  for (int64_t i = 0; i < channels; ++i) {
    if (mask[i] == 0) continue;
    const int64_t place = shape.at(i / shape.channels, i % shape.channels, targetOf(target, i, shape));
    const double value = static_cast<double>(x[place]), hot = 2.0 * mask[i] - 1;
    const double softmax = std::exp(value - static_cast<double>(largest[i])) / static_cast<double>(exponentials[i]);
    dx[place] = static_cast<T>(static_cast<A>(mask[i] * dnll / known * (softmax - 1) + q[static_cast<size_t>(i)] * (value - hot)));
  }
}

}  // namespace

}  // namespace softmax_loss

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> spatialSoftmaxLossCpu(const at::Tensor& logits, const at::Tensor& target,
                                                                                 const at::Tensor& mask) {
  checkSpatialSoftmaxLoss(logits, target, mask);
  const at::Tensor x = softmax_loss::dense(logits), places = target.contiguous(), weights = mask.contiguous();
  const auto options = logits.options().dtype(logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const at::Tensor nll = at::zeros({}, options), mse = at::zeros({}, options);
  const at::Tensor largest = at::empty(target.sizes(), options), exponentials = at::empty(target.sizes(), options);
  const softmax_loss::Shape shape(x, softmax_loss::isLast(x));
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, x.scalar_type(), "spatial_softmax_loss", [&] {
    using A = acc_t<scalar_t>;
    softmax_loss::forward(shape, x.const_data_ptr<scalar_t>(), places.const_data_ptr<int64_t>(), weights.const_data_ptr<float>(),
                          nll.mutable_data_ptr<A>(), mse.mutable_data_ptr<A>(), largest.mutable_data_ptr<A>(),
                          exponentials.mutable_data_ptr<A>());
  });
  return {nll, mse, largest, exponentials};
}

at::Tensor spatialSoftmaxLossBackwardCpu(const at::Tensor& dnll, const at::Tensor& dmse, const at::Tensor& logits,
                                         const at::Tensor& target, const at::Tensor& mask, const at::Tensor& largest,
                                         const at::Tensor& exponentials) {
  checkSpatialSoftmaxLossBackward(dnll, dmse, logits, target, mask, largest, exponentials);
  const at::Tensor x = softmax_loss::dense(logits), places = target.contiguous(), weights = mask.contiguous();
  const at::Tensor tops = largest.contiguous(), sums = exponentials.contiguous(), dx = at::empty_like(x);
  const softmax_loss::Shape shape(x, softmax_loss::isLast(x));
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, x.scalar_type(), "spatial_softmax_loss_backward", [&] {
    using A = acc_t<scalar_t>;
    softmax_loss::backward(shape, dnll.item<double>(), dmse.item<double>(), x.const_data_ptr<scalar_t>(),
                           dx.mutable_data_ptr<scalar_t>(), places.const_data_ptr<int64_t>(), weights.const_data_ptr<float>(),
                           tops.const_data_ptr<A>(), sums.const_data_ptr<A>());
  });
  return dx;
}

}  // namespace ld
