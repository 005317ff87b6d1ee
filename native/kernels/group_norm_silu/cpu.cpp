#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/group_norm_silu/group_norm_silu.h"
#include "kernels/group_norm_silu/vector.h"

namespace ld {

namespace group_norm {

namespace {

// Elements that one task works on: they stay in the second cache between its passes. Independent of the number of
// threads, so that results are too.
constexpr int64_t kChunk = 16384;

struct Shape {
  Shape(const at::Tensor& x, int64_t groups, at::MemoryFormat format)
      : images(x.size(0)), channels(x.size(1)), groups(groups), width(channels / groups),
        last(format != at::MemoryFormat::Contiguous) {
    for (int64_t i = 2; i < x.dim(); ++i) pixels *= x.size(i);
    rows = last ? pixels : channels;
    length = last ? channels : pixels;
    rowsPerChunk = std::max<int64_t>(1, kChunk / std::max<int64_t>(length, 1));
    chunks = (rows + rowsPerChunk - 1) / rowsPerChunk;
  }

  // Calls visit(image, first row, rows, chunk) for every chunk of rows of every image.
  template <typename Visit>
  void forEachChunk(const Visit& visit) const {
    at::parallel_for(0, images * chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i % chunks * rowsPerChunk;
        visit(i / chunks, first, std::min(rowsPerChunk, rows - first), i);
      }
    });
  }

  int64_t offset(int64_t image, int64_t row) const { return (image * rows + row) * length; }

  int64_t images, channels, pixels = 1, groups, width;
  bool last;  // channels are innermost: a row is a pixel
  int64_t rows, length, rowsPerChunk, chunks;
};

// The format that x is in; contiguous where it is in none.
at::MemoryFormat formatOf(const at::Tensor& x) {
  const auto format = x.suggest_memory_format();
  return x.is_contiguous(format) ? format : at::MemoryFormat::Contiguous;
}

template <typename A>
std::vector<A> perChannel(const std::optional<at::Tensor>& values, int64_t channels, A otherwise) {
  if (!values || !values->defined()) return std::vector<A>(static_cast<size_t>(channels), otherwise);
  const auto wide = values->to(c10::CppTypeToScalarType<A>::value).contiguous();
  return {wide.template const_data_ptr<A>(), wide.template const_data_ptr<A>() + channels};
}

template <typename A>
struct Part {
  A mean, squares;
  int64_t count;
};

// Moments of parts to those of the whole (Chan, Golub and LeVeque 1979), in double.
template <typename A>
void join(const Part<A>* parts, int64_t count, int64_t stride, double eps, A* mean, A* rstd) {
  double seen = 0, center = 0, squares = 0;
  for (int64_t i = 0; i < count; ++i) {
    const Part<A>& part = parts[i * stride];
    const double added = static_cast<double>(part.count), delta = part.mean - center;
    squares += part.squares + delta * delta * seen * added / (seen + added);
    center += delta * added / (seen + added);
    seen += added;
  }
  *mean = static_cast<A>(center);
  *rstd = static_cast<A>(1 / std::sqrt(squares / seen + eps));
}

template <typename T>
void statistics(const Shape& shape, const T* x, double eps, acc_t<T>* mean, acc_t<T>* rstd) {
  using A = acc_t<T>;
  const int64_t groups = shape.groups;
  if (shape.last) {
    std::vector<Part<A>> parts(static_cast<size_t>(shape.images * shape.chunks * groups));
    const auto kernel = LD_BEST(momentsLast<T>);
    shape.forEachChunk([&](int64_t image, int64_t first, int64_t rows, int64_t chunk) {
      std::vector<A> means(static_cast<size_t>(groups)), squares(means.size());
      kernel(x + shape.offset(image, first), rows, groups, shape.width, means.data(), squares.data());
      for (size_t g = 0; g < means.size(); ++g) {
        parts[static_cast<size_t>(chunk * groups) + g] = {means[g], squares[g], rows * shape.width};
      }
    });
    for (int64_t i = 0; i < shape.images * groups; ++i) {
      join(parts.data() + i / groups * shape.chunks * groups + i % groups, shape.chunks, groups, eps, mean + i, rstd + i);
    }
    return;
  }
  const int64_t size = shape.width * shape.pixels, chunks = (size + kChunk - 1) / kChunk;
  std::vector<Part<A>> parts(static_cast<size_t>(shape.images * groups * chunks));
  const auto kernel = LD_BEST(moments<T>);
  at::parallel_for(0, shape.images * groups * chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % chunks * kChunk;
      Part<A>& part = parts[static_cast<size_t>(i)];
      part.count = std::min(kChunk, size - first);
      kernel(x + i / chunks * size + first, part.count, &part.mean, &part.squares);
    }
  });
  for (int64_t i = 0; i < shape.images * groups; ++i) join(parts.data() + i * chunks, chunks, 1, eps, mean + i, rstd + i);
}

// The coefficients of all channels of all images, one image after the other.
template <typename A>
struct Channels {
  Channels(const Shape& shape, const A* mean, const A* rstd, const std::vector<A>& weight, const std::vector<A>& bias)
      : all(static_cast<size_t>(shape.images * shape.channels)), center(all), a(all), b(all), r(all) {
    for (size_t i = 0; i < all; ++i) {
      const auto c = i % weight.size(), g = i / weight.size() * static_cast<size_t>(shape.groups) + c / static_cast<size_t>(shape.width);
      center[i] = mean[g];
      r[i] = rstd[g];
      a[i] = rstd[g] * weight[c];
      b[i] = bias[c];
    }
  }
  Forward<A> at(size_t i) const { return {center.data() + i, a.data() + i, b.data() + i}; }

  size_t all;
  std::vector<A> center, a, b, r;
};

template <typename T>
void forward(const Shape& shape, const T* x, T* y, const Channels<acc_t<T>>& c, bool silu) {
  const auto kernel = shape.last ? (silu ? LD_BEST(apply<T, true, true>) : LD_BEST(apply<T, true, false>))
                                 : (silu ? LD_BEST(apply<T, false, true>) : LD_BEST(apply<T, false, false>));
  shape.forEachChunk([&](int64_t image, int64_t first, int64_t rows, int64_t) {
    const auto channel = image * shape.channels + (shape.last ? 0 : first), from = shape.offset(image, first);
    kernel(x + from, y + from, rows, shape.length, c.at(static_cast<size_t>(channel)));
  });
}

template <typename T>
void backward(const Shape& shape, const T* dy, const T* x, T* dx, const acc_t<T>* mean, const acc_t<T>* rstd,
              const std::vector<acc_t<T>>& weight, const std::vector<acc_t<T>>& bias, bool silu, acc_t<T>* dweight,
              acc_t<T>* dbias) {
  using A = acc_t<T>;
  const Channels<A> c(shape, mean, rstd, weight, bias);
  const size_t all = c.all;
  std::vector<A> q(all), k(all);
  const auto at = [&](size_t i) { return Backward<A>{c.at(i), c.r.data() + i, c.a.data() + i, q.data() + i, k.data() + i}; };

  // Sums over pixels of dv and dv xhat, per channel: of each chunk of pixels where channels are innermost.
  const int64_t parts = shape.last ? shape.chunks : 1;
  std::vector<A> dv(all * static_cast<size_t>(parts)), dvx(dv.size());
  const auto sum = shape.last ? (silu ? LD_BEST(sums<T, true, true>) : LD_BEST(sums<T, true, false>))
                              : (silu ? LD_BEST(sums<T, false, true>) : LD_BEST(sums<T, false, false>));
  shape.forEachChunk([&](int64_t image, int64_t first, int64_t rows, int64_t chunk) {
    const auto channel = static_cast<size_t>(image * shape.channels + (shape.last ? 0 : first));
    const auto place = shape.last ? static_cast<size_t>(chunk * shape.channels) : channel;
    const auto from = shape.offset(image, first);
    sum(dy + from, x + from, rows, shape.length, at(channel), dv.data() + place, dvx.data() + place);
  });
  std::vector<double> totals(all), products(all);
  for (size_t i = 0; i < all; ++i) {
    const auto image = i / weight.size(), channel = i % weight.size();
    for (int64_t part = 0; part < parts; ++part) {
      const auto place = (image * static_cast<size_t>(parts) + static_cast<size_t>(part)) * weight.size() + channel;
      totals[i] += dv[place];
      products[i] += dvx[place];
    }
  }
  for (size_t channel = 0; channel < weight.size(); ++channel) {
    double shift = 0, scale = 0;
    for (size_t i = channel; i < all; i += weight.size()) {
      shift += totals[i];
      scale += products[i];
    }
    if (dbias != nullptr) dbias[channel] = static_cast<A>(shift);
    if (dweight != nullptr) dweight[channel] = static_cast<A>(scale);
  }
  if (dx == nullptr) return;

  // dx = rstd (w dv - (sum of w dv + xhat * sum of w dv xhat) / count), both sums over the group.
  const double count = static_cast<double>(shape.width * shape.pixels);
  for (size_t first = 0; first < all; first += static_cast<size_t>(shape.width)) {
    double total = 0, product = 0;
    for (size_t i = first; i < first + static_cast<size_t>(shape.width); ++i) {
      total += weight[i % weight.size()] * totals[i];
      product += weight[i % weight.size()] * products[i];
    }
    for (size_t i = first; i < first + static_cast<size_t>(shape.width); ++i) {
      q[i] = static_cast<A>(-static_cast<double>(c.r[i]) * c.r[i] * product / count);
      k[i] = static_cast<A>(-c.r[i] * total / count);
    }
  }
  const auto write = shape.last ? (silu ? LD_BEST(gradient<T, true, true>) : LD_BEST(gradient<T, true, false>))
                                : (silu ? LD_BEST(gradient<T, false, true>) : LD_BEST(gradient<T, false, false>));
  shape.forEachChunk([&](int64_t image, int64_t first, int64_t rows, int64_t) {
    const auto channel = static_cast<size_t>(image * shape.channels + (shape.last ? 0 : first));
    const auto from = shape.offset(image, first);
    write(dy + from, x + from, dx + from, rows, shape.length, at(channel));
  });
}

}  // namespace

}  // namespace group_norm

GroupNormResult groupNormCpu(const at::Tensor& x, const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                             int64_t groups, double eps, bool silu) {
  checkGroupNorm(x, weight, bias, groups, eps);
  const auto format = group_norm::formatOf(x);
  const at::Tensor input = x.contiguous(format);
  const group_norm::Shape shape(input, groups, format);
  const auto options = x.options().dtype(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const at::Tensor y = at::empty_like(input), mean = at::empty({x.size(0), groups}, options), rstd = at::empty_like(mean);
  if (x.numel() == 0) {
    mean.zero_();
    rstd.zero_();
    return {y, mean, rstd};
  }
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, x.scalar_type(), "group_norm", [&] {
    using A = acc_t<scalar_t>;
    const auto* from = input.const_data_ptr<scalar_t>();
    auto *center = mean.mutable_data_ptr<A>(), *scale = rstd.mutable_data_ptr<A>();
    group_norm::statistics(shape, from, eps, center, scale);
    const group_norm::Channels<A> channels(shape, center, scale, group_norm::perChannel<A>(weight, shape.channels, 1),
                                           group_norm::perChannel<A>(bias, shape.channels, 0));
    group_norm::forward(shape, from, y.mutable_data_ptr<scalar_t>(), channels, silu);
  });
  return {y, mean, rstd};
}

GroupNormResult groupNormBackwardCpu(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& mean, const at::Tensor& rstd,
                                     const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                                     int64_t groups, std::array<bool, 3> mask, bool silu) {
  checkGroupNormBackward(dy, x, mean, rstd, weight, bias, groups);
  const auto format = group_norm::formatOf(x);
  const at::Tensor input = x.contiguous(format), gradient = dy.contiguous(format);
  const group_norm::Shape shape(input, groups, format);
  const auto options = x.options().dtype(mean.scalar_type());
  const at::Tensor dx = mask[0] ? at::empty_like(input) : at::Tensor();
  at::Tensor dweight = mask[1] ? at::empty({shape.channels}, options) : at::Tensor();
  at::Tensor dbias = mask[2] ? at::empty({shape.channels}, options) : at::Tensor();
  if (x.numel() == 0) {
    for (const at::Tensor& each : {dweight, dbias}) {
      if (each.defined()) each.zero_();
    }
  } else {
    const at::Tensor center = mean.contiguous(), scale = rstd.contiguous();
    AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, x.scalar_type(), "group_norm_backward", [&] {
      using A = acc_t<scalar_t>;
      group_norm::backward(shape, gradient.const_data_ptr<scalar_t>(), input.const_data_ptr<scalar_t>(),
                           mask[0] ? dx.mutable_data_ptr<scalar_t>() : nullptr, center.const_data_ptr<A>(),
                           scale.const_data_ptr<A>(), group_norm::perChannel<A>(weight, shape.channels, 1),
                           group_norm::perChannel<A>(bias, shape.channels, 0), silu,
                           mask[1] ? dweight.mutable_data_ptr<A>() : nullptr, mask[2] ? dbias.mutable_data_ptr<A>() : nullptr);
    });
  }
  const auto like = [](const at::Tensor& gradient, const std::optional<at::Tensor>& parameter) {
    return gradient.defined() && parameter && parameter->defined() ? gradient.to(parameter->scalar_type()) : gradient;
  };
  return {dx, like(dweight, weight), like(dbias, bias)};
}

}  // namespace ld
