// A call site: an operator with all its constant arguments filled in once, and slots for what
// varies from call to call (tensors, scalar numbers, generators). JavaScript interns sites, so a
// call sends a site and its slots, and never converts a constant twice.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <string>
#include <vector>

#include "dispatch/guards.h"

namespace ld {

struct Site {
  enum class Slot : uint8_t {
    Constant,
    Tensor,              // one id; 0 is an absent optional tensor
    TensorList,          // `count` ids
    OptionalTensorList,  // `count` ids, 0 for an absent one
    Double,
    Int,
    Generator,  // one id
    Storage,    // one id, of a tensor: the memory that it lies in
    Cells,      // `count` ids: see cells.h
  };
  struct Argument {
    Slot slot = Slot::Constant;
    uint32_t count = 0;
    c10::IValue constant;

    // How many ids of a record belong to the argument.
    uint32_t ids() const {
      switch (slot) {
        case Slot::Tensor:
        case Slot::Generator:
        case Slot::Storage:
          return 1;
        case Slot::TensorList:
        case Slot::OptionalTensorList:
        case Slot::Cells:
          return count;
        default:
          return 0;
      }
    }
  };

  explicit Site(c10::OperatorHandle handle)
      : op(std::move(handle)), guard(guardOf(op.schema().operator_name())), outputs(outputsOf(op.schema())), oneDnn(takesOneDnn(op)), fillsZeros(takesNoZeros(op)) {}

  c10::OperatorHandle op;
  Guard guard;
  std::vector<size_t> outputs;  // the arguments that are out=
  bool oneDnn;                  // oneDNN tensors may be among them
  bool fillsZeros;              // tensors that are zero without memory are given some
  std::vector<Argument> arguments;
  std::string refusal;        // why no call with these constants is made (guards/constants.h); mostly empty
  std::vector<bool> written;  // per result: it is one of the arguments, in place or out=
};

}  // namespace ld
