// JavaScript values to the constants of a call site, and results back.
#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>
#include <napi.h>

namespace ld {

// The constant for `argument`. Throws Napi::TypeError that names the argument, what it wants and
// what it got.
c10::IValue constantFromJs(const c10::Argument& argument, const Napi::Value& value);

// A result or default that holds no tensor. BigInt where an integer is not exact as a number.
Napi::Value constantToJs(Napi::Env env, const c10::IValue& value);

// A JavaScript array of whole numbers.
std::vector<int64_t> intsFromJs(const Napi::Value& value);
Napi::Array intsToJs(Napi::Env env, at::IntArrayRef values);

// Makes an own property, whatever setter of that name another library has given to Object.prototype.
template <typename Value>
void define(const Napi::Object& object, const char* name, const Value& value) {
  const napi_env env = object.Env();
  const napi_property_descriptor property{name, nullptr, nullptr, nullptr, nullptr, Napi::Value::From(env, value), napi_default_jsproperty, nullptr};
  if (napi_define_properties(env, object, 1, &property) != napi_ok) throw Napi::Error::New(env);
}

at::Device deviceFromJs(const Napi::Value& value);

}  // namespace ld
