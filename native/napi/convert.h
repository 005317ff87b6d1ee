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

at::Device deviceFromJs(const Napi::Value& value);

}  // namespace ld
