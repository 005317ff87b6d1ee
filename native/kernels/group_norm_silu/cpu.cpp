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
  Shape(const at::Tensor& y, int64_t groups, at::MemoryFormat format)
      : images(y.size(0)), channels(y.size(1)), groups(groups), width(channels / groups),
        last(format != at::MemoryFormat::Contiguous) {
    for (int64_t i = 2; i < y.dim(); ++i) pixels *= y.size(i);
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

  // Of all images.
  int64_t row(int64_t image, int64_t ofImage) const { return image * rows + ofImage; }

  int64_t images, channels, pixels = 1, groups, width;
  bool last;  // channels are innermost: a row is a pixel
  int64_t rows, length, rowsPerChunk, chunks;
};

// Some columns of all rows, which lie together: of several, one after the other, the input is made.
template <typename T>
struct Columns {
  T* data;
  int64_t first, width;
  T* at(int64_t row) const { return data + row * width; }
};

template <typename T>
using Input = std::vector<Columns<const T>>;

template <typename T>
Input<T> columnsOf(const std::vector<at::Tensor>& x, const Shape& shape) {
  Input<T> result;
  int64_t first = 0;
  for (const at::Tensor& each : x) {
    result.push_back({each.const_data_ptr<T>(), first, shape.last ? each.size(1) : shape.length});
    first += each.size(1);
  }
  return result;
}

// The format that x is in; contiguous where it is in none.
at::MemoryFormat formatOf(const at::Tensor& x) {
  const auto format = x.suggest_memory_format();
  return x.is_contiguous(format) ? format : at::MemoryFormat::Contiguous;
}

std::vector<at::Tensor> dense(at::TensorList tensors, at::MemoryFormat format) {
  std::vector<at::Tensor> result;
  for (const at::Tensor& each : tensors) result.push_back(each.contiguous(format));
  return result;
}

template <typename A>
std::vector<A> perChannel(const std::optional<at::Tensor>& values, int64_t channels, A otherwise) {
  if (!values || !values->defined()) return std::vector<A>(static_cast<size_t>(channels), otherwise);
  const auto wide = values->to(c10::CppTypeToScalarType<A>::value).contiguous();
  return {wide.template const_data_ptr<A>(), wide.template const_data_ptr<A>() + channels};
}

template <typename A>
struct Moments {
  A mean = 0, squares = 0;
  int64_t count = 0;
};

// Moments of parts to those of the whole (Chan, Golub and LeVeque 1979), in double.
template <typename A>
void join(const Moments<A>* parts, int64_t count, int64_t stride, double eps, A* mean, A* rstd) {
  double seen = 0, center = 0, squares = 0;
  for (int64_t i = 0; i < count; ++i) {
    const Moments<A>& part = parts[i * stride];
    const double added = static_cast<double>(part.count), delta = part.mean - center;
    squares += part.squares + delta * delta * seen * added / (seen + added);
    center += delta * added / (seen + added);
    seen += added;
  }
  *mean = static_cast<A>(center);
  *rstd = static_cast<A>(1 / std::sqrt(squares / seen + eps));
}

// Of each group over some rows of pixels, from sums per channel: columns may end within a group.
template <typename T>
void momentsLast(const Shape& shape, const Input<T>& x, int64_t firstRow, int64_t rows, Moments<acc_t<T>>* groups) {
  using A = acc_t<T>;
  const auto channels = static_cast<size_t>(shape.channels), width = static_cast<size_t>(shape.width);
  std::vector<A> sums(channels), center(channels);
  for (const auto& part : x) LD_BEST(channelSums<T>)(part.at(firstRow), rows, part.width, sums.data() + part.first);
  for (size_t channel = 0, g = 0; channel < channels; channel += width, ++g) {
    for (size_t i = channel; i < channel + width; ++i) groups[g].mean += sums[i];
    groups[g].count = rows * shape.width;
    groups[g].mean /= static_cast<A>(groups[g].count);
    std::fill_n(center.data() + channel, width, groups[g].mean);
  }
  for (const auto& part : x) {
    LD_BEST(channelSquares<T>)(part.at(firstRow), rows, part.width, center.data() + part.first, sums.data() + part.first);
  }
  for (size_t channel = 0, g = 0; channel < channels; channel += width, ++g) {
    for (size_t i = channel; i < channel + width; ++i) groups[g].squares += sums[i];
  }
}

template <typename T>
void statistics(const Shape& shape, const Input<T>& x, double eps, acc_t<T>* mean, acc_t<T>* rstd) {
  using A = acc_t<T>;
  const int64_t groups = shape.groups;
  if (shape.last) {
    std::vector<Moments<A>> parts(static_cast<size_t>(shape.images * shape.chunks * groups));
    shape.forEachChunk([&](int64_t image, int64_t first, int64_t rows, int64_t chunk) {
      momentsLast(shape, x, shape.row(image, first), rows, parts.data() + chunk * groups);
    });
    for (int64_t i = 0; i < shape.images * groups; ++i) {
      join(parts.data() + i / groups * shape.chunks * groups + i % groups, shape.chunks, groups, eps, mean + i, rstd + i);
    }
    return;
  }
  const int64_t size = shape.width * shape.pixels, chunks = (size + kChunk - 1) / kChunk;
  std::vector<Moments<A>> parts(static_cast<size_t>(shape.images * groups * chunks));
  const auto kernel = LD_BEST(moments<T>);
  at::parallel_for(0, shape.images * groups * chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % chunks * kChunk;
      Moments<A>& part = parts[static_cast<size_t>(i)];
      part.count = std::min(kChunk, size - first);
      kernel(x[0].data + i / chunks * size + first, part.count, &part.mean, &part.squares);
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
void forward(const Shape& shape, const Input<T>& x, T* y, const Channels<acc_t<T>>& c, bool silu) {
  const auto kernel = shape.last ? (silu ? LD_BEST(apply<T, true, true>) : LD_BEST(apply<T, true, false>))
                                 : (silu ? LD_BEST(apply<T, false, true>) : LD_BEST(apply<T, false, false>));
  shape.forEachChunk([&](int64_t image, int64_t first, int64_t rows, int64_t) {
    const int64_t row = shape.row(image, first);
    for (const auto& part : x) {
      const auto channel = static_cast<size_t>(image * shape.channels + (shape.last ? part.first : first));
      kernel(part.at(row), y + row * shape.length + part.first, shape.length, rows, part.width, c.at(channel));
    }
  });
}

template <typename T>
void backward(const Shape& shape, const T* dy, const Input<T>& x, const std::vector<T*>& dx, const acc_t<T>* mean, const acc_t<T>* rstd,
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
    const int64_t row = shape.row(image, first);
    for (const auto& part : x) {
      const auto channel = static_cast<size_t>(image * shape.channels + (shape.last ? part.first : first));
      const auto place = shape.last ? static_cast<size_t>(chunk * shape.channels + part.first) : channel;
      sum(dy + row * shape.length + part.first, shape.length, part.at(row), rows, part.width, at(channel), dv.data() + place,
          dvx.data() + place);
    }
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
  if (dx.empty()) return;

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
    const int64_t row = shape.row(image, first);
    for (size_t i = 0; i < x.size(); ++i) {
      const auto& part = x[i];
      const auto channel = static_cast<size_t>(image * shape.channels + (shape.last ? part.first : first));
      write(dy + row * shape.length + part.first, shape.length, part.at(row), dx[i] + row * part.width, rows, part.width, at(channel));
    }
  });
}

}  // namespace

}  // namespace group_norm

bool groupNormReadsTogether(at::TensorList x) {
  const auto format = group_norm::formatOf(x[0]);
  return format != at::MemoryFormat::Contiguous &&
         std::all_of(x.begin(), x.end(), [&](const at::Tensor& each) { return group_norm::formatOf(each) == format; });
}

GroupNormResult groupNormCpu(at::TensorList x, const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                             int64_t groups, double eps, bool silu) {
  const auto sizes = checkGroupNorm(x, weight, bias, groups, eps);
  const auto format = group_norm::formatOf(x[0]);
  const auto dtype = x[0].scalar_type();
  const auto input = group_norm::dense(x, format);
  const auto options = x[0].options().dtype(dtype == at::kDouble ? at::kDouble : at::kFloat);
  const at::Tensor y = at::empty(sizes, x[0].options(), format);
  const at::Tensor mean = at::empty({sizes[0], groups}, options), rstd = at::empty_like(mean);
  if (y.numel() == 0) {
    mean.zero_();
    rstd.zero_();
    return {y, mean, rstd};
  }
  const group_norm::Shape shape(y, groups, format);
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, dtype, "group_norm", [&] {
    using A = acc_t<scalar_t>;
    const auto from = group_norm::columnsOf<scalar_t>(input, shape);
    auto *center = mean.mutable_data_ptr<A>(), *scale = rstd.mutable_data_ptr<A>();
    group_norm::statistics<scalar_t>(shape, from, eps, center, scale);
    const group_norm::Channels<A> channels(shape, center, scale, group_norm::perChannel<A>(weight, shape.channels, 1),
                                           group_norm::perChannel<A>(bias, shape.channels, 0));
    group_norm::forward(shape, from, y.mutable_data_ptr<scalar_t>(), channels, silu);
  });
  return {y, mean, rstd};
}

GroupNormGradients groupNormBackwardCpu(const at::Tensor& dy, at::TensorList x, const at::Tensor& mean, const at::Tensor& rstd,
                                        const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                                        int64_t groups, std::array<bool, 3> mask, bool silu) {
  checkGroupNormBackward(dy, x, mean, rstd, weight, bias, groups);
  const auto format = group_norm::formatOf(x[0]);
  const auto input = group_norm::dense(x, format);
  const at::Tensor gradient = dy.contiguous(format);
  const group_norm::Shape shape(gradient, groups, format);
  const auto options = dy.options().dtype(mean.scalar_type());
  GroupNormGradients result;
  if (mask[0]) {
    for (const at::Tensor& each : input) result.x.push_back(at::empty_like(each));
  }
  if (mask[1]) result.weight = at::empty({shape.channels}, options);
  if (mask[2]) result.bias = at::empty({shape.channels}, options);
  if (dy.numel() == 0) {
    for (const at::Tensor& each : {result.weight, result.bias}) {
      if (each.defined()) each.zero_();
    }
  } else {
    const at::Tensor center = mean.contiguous(), scale = rstd.contiguous();
    AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, dy.scalar_type(), "group_norm_backward", [&] {
      using A = acc_t<scalar_t>;
      std::vector<scalar_t*> into;
      for (const at::Tensor& each : result.x) into.push_back(each.mutable_data_ptr<scalar_t>());
      group_norm::backward(shape, gradient.const_data_ptr<scalar_t>(), group_norm::columnsOf<scalar_t>(input, shape), into,
                           center.const_data_ptr<A>(), scale.const_data_ptr<A>(),
                           group_norm::perChannel<A>(weight, shape.channels, 1), group_norm::perChannel<A>(bias, shape.channels, 0),
                           silu, mask[1] ? result.weight.mutable_data_ptr<A>() : nullptr,
                           mask[2] ? result.bias.mutable_data_ptr<A>() : nullptr);
    });
  }
  const auto as = [](at::Tensor& gradient, const std::optional<at::Tensor>& parameter) {
    if (gradient.defined() && parameter && parameter->defined()) gradient = gradient.to(parameter->scalar_type());
  };
  as(result.weight, weight);
  as(result.bias, bias);
  return result;
}

}  // namespace ld
