#include "napi/convert.h"

#include <ATen/core/List.h>
#include <c10/core/Device.h>
#include <c10/core/Layout.h>
#include <c10/core/MemoryFormat.h>
#include <c10/core/ScalarType.h>

#include <array>
#include <cmath>
#include <sstream>

#include "runtime/devices.h"

namespace ld {

namespace {

constexpr double kExact = 9007199254740992.0;  // 2^53

[[noreturn]] void refuse(const c10::Argument& argument, const Napi::Value& value, const std::string& wanted) {
  std::string got;
  try {
    got = value.IsString() ? "'" + value.As<Napi::String>().Utf8Value() + "'" : value.ToString().Utf8Value();
  } catch (const Napi::Error&) {
    got = "a value that has no text";
  }
  constexpr size_t kShown = 80;
  if (got.size() > kShown) got = got.substr(0, kShown) + "...";
  throw Napi::TypeError::New(value.Env(), "argument '" + argument.name() + "' wants " + wanted + ", got " + got);
}

int64_t integer(const c10::Argument& argument, const Napi::Value& value) {
  if (value.IsBigInt()) {
    bool lossless = false;
    const int64_t number = value.As<Napi::BigInt>().Int64Value(&lossless);
    if (!lossless) refuse(argument, value, "an integer of 64 bits");
    return number;
  }
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value() ? 1 : 0;
  if (!value.IsNumber()) refuse(argument, value, "an integer");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(std::trunc(number) == number && std::fabs(number) <= kExact)) refuse(argument, value, "an integer");
  return static_cast<int64_t>(number);
}

double real(const c10::Argument& argument, const Napi::Value& value) {
  if (!value.IsNumber()) refuse(argument, value, "a number");
  return value.As<Napi::Number>().DoubleValue();
}

at::Scalar scalar(const c10::Argument& argument, const Napi::Value& value) {
  if (value.IsBigInt()) return integer(argument, value);
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value();
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    if (std::trunc(number) == number && std::fabs(number) <= kExact) return static_cast<int64_t>(number);
    return number;
  }
  if (value.IsObject()) {
    const auto object = value.As<Napi::Object>();
    // A TypedScalar of scalar.ts.
    if (object.Has("integer")) {
      if (object.Get("integer").ToBoolean()) return integer(argument, object.Get("value"));
      return real(argument, object.Get("value"));
    }
    if (object.Has("re") && object.Has("im")) {
      return c10::complex<double>(real(argument, object.Get("re")), real(argument, object.Get("im")));
    }
  }
  refuse(argument, value, "a number, a boolean, a BigInt or { re, im }");
}

at::ScalarType scalarType(const c10::Argument& argument, const Napi::Value& value) {
  // The library sends dtypes as libtorch's own numbers; text is resolved in dtype.ts.
  const int64_t number = integer(argument, value);
  if (number < 0 || number >= static_cast<int64_t>(at::ScalarType::NumOptions)) refuse(argument, value, "a dtype");
  return static_cast<at::ScalarType>(number);
}

template <typename T, size_t N>
T named(const c10::Argument& argument, const Napi::Value& value, const std::array<std::pair<const char*, T>, N>& names) {
  std::string wanted = "one of";
  const std::string got = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  for (const auto& [name, result] : names) {
    if (got == name) return result;
    wanted += std::string(" '") + name + "'";
  }
  refuse(argument, value, wanted);
}

constexpr std::array<std::pair<const char*, at::Layout>, 8> kLayouts{{{"strided", at::kStrided},
                                                                      {"jagged", at::kJagged},
                                                                      {"_mkldnn", at::kMkldnn},
                                                                      {"sparse_coo", at::kSparse},
                                                                      {"sparse_csr", at::kSparseCsr},
                                                                      {"sparse_csc", at::kSparseCsc},
                                                                      {"sparse_bsr", at::kSparseBsr},
                                                                      {"sparse_bsc", at::kSparseBsc}}};
constexpr std::array<std::pair<const char*, at::MemoryFormat>, 4> kFormats{
    {{"contiguous_format", at::MemoryFormat::Contiguous},
     {"preserve_format", at::MemoryFormat::Preserve},
     {"channels_last", at::MemoryFormat::ChannelsLast},
     {"channels_last_3d", at::MemoryFormat::ChannelsLast3d}}};

c10::IValue convert(const c10::Argument& argument, const c10::TypePtr& type, const Napi::Value& value);

template <typename T, typename Convert>
c10::IValue list(const c10::Argument& argument, const Napi::Value& value, Convert element) {
  c10::List<T> result;
  if (value.IsArray()) {
    const auto array = value.As<Napi::Array>();
    const uint32_t length = array.Length();
    result.reserve(length);
    for (uint32_t i = 0; i < length; ++i) result.push_back(element(argument, array.Get(i)));
  } else if (value.IsNumber() || value.IsBigInt()) {
    // As in Python: one number stands for `int[2]` of it, and for an `int[]` of one.
    const T repeated = element(argument, value);
    for (int32_t i = 0; i < argument.N().value_or(1); ++i) result.push_back(repeated);
  } else {
    refuse(argument, value, argument.real_type()->str());
  }
  return result;
}

bool boolean(const c10::Argument& argument, const Napi::Value& value) {
  if (!value.IsBoolean()) refuse(argument, value, "true or false");
  return value.As<Napi::Boolean>().Value();
}

std::string text(const c10::Argument& argument, const Napi::Value& value) {
  if (!value.IsString()) refuse(argument, value, "text");
  return value.As<Napi::String>().Utf8Value();
}

c10::IValue convert(const c10::Argument& argument, const c10::TypePtr& type, const Napi::Value& value) {
  using c10::TypeKind;
  switch (type->kind()) {
    case TypeKind::OptionalType:
      if (value.IsNull() || value.IsUndefined()) return {};
      return convert(argument, type->castRaw<c10::OptionalType>()->getElementType(), value);
    case TypeKind::IntType:
    case TypeKind::SymIntType:
      return integer(argument, value);
    case TypeKind::FloatType:
      return real(argument, value);
    case TypeKind::BoolType:
    case TypeKind::SymBoolType:
      return boolean(argument, value);
    case TypeKind::NumberType:
      return c10::IValue(scalar(argument, value));
    case TypeKind::StringType:
      return text(argument, value);
    case TypeKind::ScalarTypeType:
      return static_cast<int64_t>(scalarType(argument, value));
    case TypeKind::LayoutType:
      return static_cast<int64_t>(named(argument, value, kLayouts));
    case TypeKind::MemoryFormatType:
      return static_cast<int64_t>(named(argument, value, kFormats));
    case TypeKind::DeviceObjType:
      return deviceFromJs(value);
    case TypeKind::StreamObjType:
      return c10::Stream(c10::Stream::DEFAULT, deviceFromJs(value));
    case TypeKind::ListType: {
      const auto& element = type->castRaw<c10::ListType>()->getElementType();
      switch (element->kind()) {
        case TypeKind::IntType:
        case TypeKind::SymIntType:
          return list<int64_t>(argument, value, integer);
        case TypeKind::FloatType:
          return list<double>(argument, value, real);
        case TypeKind::BoolType:
          return list<bool>(argument, value, boolean);
        case TypeKind::StringType:
          return list<std::string>(argument, value, text);
        case TypeKind::NumberType: {
          if (!value.IsArray()) refuse(argument, value, "an array of numbers");
          c10::impl::GenericList scalars(c10::NumberType::get());
          const auto array = value.As<Napi::Array>();
          for (uint32_t i = 0; i < array.Length(); ++i) scalars.push_back(c10::IValue(scalar(argument, array.Get(i))));
          return scalars;
        }
        default:
          break;
      }
      break;
    }
    default:
      break;
  }
  throw Napi::TypeError::New(
      value.Env(), "argument '" + argument.name() + "' is of type " + type->str() + ", which JavaScript cannot give");
}

}  // namespace

c10::IValue constantFromJs(const c10::Argument& argument, const Napi::Value& value) {
  return convert(argument, argument.real_type(), value);
}

Napi::Value constantToJs(Napi::Env env, const c10::IValue& value) {
  if (value.isNone()) return env.Null();
  if (value.isBool()) return Napi::Boolean::New(env, value.toBool());
  if (value.isInt()) {
    const int64_t number = value.toInt();
    constexpr int64_t kSafe = (1LL << 53) - 1;
    if (number >= -kSafe && number <= kSafe) return Napi::Number::New(env, static_cast<double>(number));
    return Napi::BigInt::New(env, number);
  }
  if (value.isDouble()) return Napi::Number::New(env, value.toDouble());
  if (value.isComplexDouble()) {
    auto result = Napi::Object::New(env);
    define(result, "re", value.toComplexDouble().real());
    define(result, "im", value.toComplexDouble().imag());
    return result;
  }
  if (value.isString()) return Napi::String::New(env, value.toStringRef());
  if (value.isDevice()) return Napi::String::New(env, value.toDevice().str());
  if (value.isList()) {
    const auto list = value.toListRef();
    auto result = Napi::Array::New(env, list.size());
    for (size_t i = 0; i < list.size(); ++i) result.Set(static_cast<uint32_t>(i), constantToJs(env, list[i]));
    return result;
  }
  if (value.isTuple()) {
    const auto& elements = value.toTupleRef().elements();
    auto result = Napi::Array::New(env, elements.size());
    for (size_t i = 0; i < elements.size(); ++i) result.Set(static_cast<uint32_t>(i), constantToJs(env, elements[i]));
    return result;
  }
  std::ostringstream out;
  out << value;
  return Napi::String::New(env, out.str());
}

std::vector<int64_t> intsFromJs(const Napi::Value& value) {
  if (!value.IsArray()) throw Napi::TypeError::New(value.Env(), "an array of whole numbers is wanted");
  const auto array = value.As<Napi::Array>();
  std::vector<int64_t> result(array.Length());
  for (uint32_t i = 0; i < result.size(); ++i) {
    const Napi::Value element = array.Get(i);
    const double number = element.IsNumber() ? element.As<Napi::Number>().DoubleValue() : std::nan("");
    if (!(std::trunc(number) == number && std::fabs(number) <= kExact)) {
      throw Napi::TypeError::New(value.Env(), "an array of whole numbers is wanted");
    }
    result[i] = static_cast<int64_t>(number);
  }
  return result;
}

Napi::Array intsToJs(Napi::Env env, at::IntArrayRef values) {
  auto result = Napi::Array::New(env, values.size());
  for (uint32_t i = 0; i < values.size(); ++i) result.Set(i, static_cast<double>(values[i]));
  return result;
}

at::Device deviceFromJs(const Napi::Value& value) {
  if (!value.IsString()) throw Napi::TypeError::New(value.Env(), "a device is text such as 'cpu' or 'cuda:0'");
  const at::Device device(value.As<Napi::String>().Utf8Value());
  try {
    nameDevice(device);
  } catch (const c10::Error& e) {
    auto error = Napi::Error::New(value.Env(), e.what_without_backtrace());
    error.Set("code", Napi::String::New(value.Env(), "ERR_DEVICE"));
    throw error;
  }
  return device;
}

}  // namespace ld
