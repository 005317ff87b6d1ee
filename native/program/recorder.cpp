#include "program/recorder.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>

namespace ld::program {

namespace {

// Below autograd and above the backends; meant for fake tensors, which nothing here uses.
constexpr auto kKey = c10::DispatchKey::Fake;
const c10::DispatchKeySet kBelow(c10::DispatchKeySet::FULL_AFTER, kKey);

// One at a time in the process: there is one executor. Threads of the engine read it during a backward pass.
Recorder* current = nullptr;

void fallback(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  if (current == nullptr) {
    op.redispatchBoxed(keys & kBelow, stack);
  } else {
    current->call(op, keys & kBelow, stack);
  }
}

// An operator that only calls others. Autograd takes them apart; without it (inference mode) they arrive whole.
bool isComposite(const c10::OperatorHandle& op, c10::DispatchKeySet keys) {
  return op.hasKernelForDispatchKey(c10::DispatchKey::CompositeImplicitAutograd) &&
         !op.hasKernelForDispatchKey(keys.highestPriorityTypeId());
}

bool sameView(const Value& value, const at::Tensor& tensor, int64_t offset) {
  return value.dtype == tensor.scalar_type() && at::IntArrayRef(value.sizes) == tensor.sizes() &&
         at::IntArrayRef(value.strides) == tensor.strides() && value.offset == offset;
}

}  // namespace

Recorder::Recorder(const std::vector<at::Tensor>& inputs, std::vector<at::Generator> generators)
    : generators_(std::move(generators)) {
  program_.generators = static_cast<uint32_t>(generators_.size());
  for (uint32_t i = 0; i < inputs.size(); ++i) {
    const auto known = find(inputs[i]);  // one tensor in two places
    program_.inputs.push_back(known ? *known : add(inputs[i], Value::Origin::Input, i));
  }
}

void Recorder::refuse(const std::string& reason) {
  auto failure = std::make_shared<Failure>();
  failure->op = "program";
  failure->message = reason;
  failure->trace = trace;
  refuse(std::move(failure));
}

void Recorder::refuse(FailurePtr failure) {
  if (!failure_) failure_ = std::move(failure);
}

std::optional<ValueId> Recorder::find(const at::Tensor& tensor) const {
  const auto found = known_.find(tensor.unsafeGetTensorImpl());
  if (found == known_.end()) return std::nullopt;
  return found->second.value;
}

uint32_t Recorder::storageOf(const at::Tensor& tensor) {
  if (!tensor.has_storage()) {
    program_.storages.push_back({tensor.layout() == at::kStrided ? tensor.nbytes() : 0});
    captured_.push_back(false);
    return static_cast<uint32_t>(program_.storages.size() - 1);
  }
  const auto& storage = tensor.storage();
  const auto found = storages_.find(storage.unsafeGetStorageImpl());
  if (found != storages_.end()) return found->second.index;
  const auto index = static_cast<uint32_t>(program_.storages.size());
  program_.storages.push_back({storage.nbytes()});
  captured_.push_back(false);
  storages_.emplace(storage.unsafeGetStorageImpl(), KnownStorage{index, storage.getWeakStorageImpl(), {}});
  return index;
}

ValueId Recorder::add(const at::Tensor& tensor, Value::Origin origin, uint32_t index) {
  const auto id = static_cast<ValueId>(program_.values.size());
  Value value;
  value.origin = origin;
  value.index = index;
  if (origin == Value::Origin::Captured) value.tensor = tensor;
  value.sizes = tensor.sizes().vec();
  if (tensor.layout() == at::kStrided) value.strides = tensor.strides().vec();
  value.offset = tensor.has_storage() ? tensor.storage_offset() : 0;
  value.dtype = tensor.scalar_type();
  value.device = tensor.device();
  const size_t before = program_.storages.size();
  value.storage = storageOf(tensor);
  if (program_.storages.size() > before) captured_.back() = origin == Value::Origin::Captured;
  if (tensor.has_storage()) storages_.at(tensor.storage().unsafeGetStorageImpl()).values.push_back(id);
  program_.values.push_back(std::move(value));
  known_.insert_or_assign(tensor.unsafeGetTensorImpl(), Known{id, Impl(tensor.getIntrusivePtr())});
  if (origin != Value::Origin::Made) noteLeaf(tensor, id);
  return id;
}

void Recorder::noteLeaf(const at::Tensor& tensor, ValueId value) {
  if (!tensor.requires_grad() || !tensor.is_leaf()) return;
  const at::Tensor& gradient = tensor.grad();
  if (gradient.defined()) leafOfGradient_.emplace(gradient.unsafeGetTensorImpl(), leaves_.size());
  leaves_.push_back({value, tensor, Impl(gradient.getIntrusivePtr()), gradient.defined()});
}

bool Recorder::hadGradient(const at::Tensor& tensor) const {
  for (const Leaf& leaf : leaves_) {
    if (leaf.tensor.is_same(tensor)) return leaf.defined;
  }
  return tensor.grad().defined();
}

void Recorder::noteGradient(const at::Tensor& tensor) {
  const std::lock_guard lock(mutex_);
  if (tensor.defined()) use(tensor);
}

// Autograd wraps saved tensors in new ones without telling the dispatcher: another name of memory that a value has.
std::optional<ValueId> Recorder::findAlias(const at::Tensor& tensor) {
  if (!tensor.has_storage()) return std::nullopt;
  const auto found = storages_.find(tensor.storage().unsafeGetStorageImpl());
  if (found == storages_.end()) return std::nullopt;
  const int64_t offset = tensor.storage_offset();
  for (const ValueId id : found->second.values) {
    if (sameView(program_.values[id], tensor, offset)) return id;
  }
  if (captured_[found->second.index]) return std::nullopt;
  for (const ValueId id : found->second.values) {
    if (program_.values[id].dtype != tensor.scalar_type()) continue;
    static const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("aten::as_strided", "");
    Instruction view{op, {}, {}, false, trace};
    const auto constant = [&](c10::IValue value) {
      view.operands.push_back({Operand::Kind::Constant, std::move(value), {}});
    };
    view.operands.push_back({Operand::Kind::Tensor, {}, {id}});
    constant(tensor.sizes().vec());
    constant(tensor.strides().vec());
    constant(offset);
    const ValueId made = add(tensor, Value::Origin::Made);
    view.results.push_back({false, {made}});
    program_.instructions.push_back(std::move(view));
    return made;
  }
  refuse("a tensor was looked at as another dtype by autograd, which programs cannot follow");
  return std::nullopt;
}

ValueId Recorder::use(const at::Tensor& tensor) {
  if (const auto known = find(tensor)) {
    if (program_.values[*known].origin != Value::Origin::Made) checkHistory(tensor);
    return *known;
  }
  if (const auto alias = findAlias(tensor)) {
    known_.insert_or_assign(tensor.unsafeGetTensorImpl(), Known{*alias, Impl(tensor.getIntrusivePtr())});
    return *alias;
  }
  const auto gradient = leafOfGradient_.find(tensor.unsafeGetTensorImpl());
  if (gradient != leafOfGradient_.end()) {
    return add(tensor, Value::Origin::Gradient, leaves_[gradient->second].value);
  }
  checkHistory(tensor);
  return add(tensor, Value::Origin::Captured);
}

// Its backward pass would run through operators that are not in the program.
void Recorder::checkHistory(const at::Tensor& tensor) {
  if (!at::GradMode::is_enabled() || !tensor.requires_grad() || tensor.is_leaf()) return;
  refuse("a tensor from outside of the program has a history of operators there, through which gradients would go. "
         "Give it to the program detached, or compute it inside");
}

ValueId Recorder::made(const at::Tensor& tensor) {
  const auto known = find(tensor);
  return known ? *known : add(tensor, Value::Origin::Made);
}

Operand Recorder::operandOf(const c10::IValue& value) {
  if (value.isTensor()) {
    const at::Tensor& tensor = value.toTensor();
    if (!tensor.defined()) return {Operand::Kind::Constant, value, {}};
    return {Operand::Kind::Tensor, {}, {use(tensor)}};
  }
  if (value.isTensorList()) {
    Operand operand{Operand::Kind::TensorList, {}, {}};
    for (const at::Tensor& tensor : value.toTensorVector()) {
      operand.values.push_back(tensor.defined() ? use(tensor) : kNoValue);
    }
    return operand;
  }
  if (value.isOptionalTensorList()) {
    Operand operand{Operand::Kind::OptionalTensorList, {}, {}};
    for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
      operand.values.push_back(tensor && tensor->defined() ? use(*tensor) : kNoValue);
    }
    return operand;
  }
  if (value.isGenerator()) {
    for (uint32_t i = 0; i < generators_.size(); ++i) {
      if (generators_[i] == value.toGenerator()) return {Operand::Kind::Generator, {}, {i}};
    }
  }
  if (value.isStorage() || value.isStream() || value.isObject()) {
    refuse("an argument is a storage, a stream or packed weights, which programs cannot keep");
  }
  return {Operand::Kind::Constant, value, {}};
}

Result Recorder::resultOf(const c10::IValue& value) {
  if (value.isTensor()) {
    const at::Tensor& tensor = value.toTensor();
    return {false, {tensor.defined() ? made(tensor) : kNoValue}};
  }
  if (value.isTensorList()) {
    Result result{true, {}};
    for (const at::Tensor& tensor : value.toTensorVector()) {
      result.values.push_back(tensor.defined() ? made(tensor) : kNoValue);
    }
    return result;
  }
  return {};
}

// What is recorded of these operators would hold for the values of the recording only.
void Recorder::checkStatic(const c10::OperatorHandle& op, const torch::jit::Stack& stack) {
  bool dynamic = op.hasTag(at::Tag::dynamic_output_shape) || op.hasTag(at::Tag::data_dependent_output);
  const auto& name = op.operator_name().name;
  if (dynamic && (name == "aten::index" || name == "aten::_unsafe_index")) {
    // With positions the shape is known, with masks it is not.
    dynamic = false;
    for (const std::optional<at::Tensor>& index : (stack.end() - 1)->toOptionalTensorVector()) {
      dynamic |= index && index->defined() && (index->scalar_type() == at::kBool || index->scalar_type() == at::kByte);
    }
  }
  if (!dynamic) return;
  refuse(c10::toString(op.operator_name()) +
         " gives a value, or a shape that depends on values; a program is the same stream of operators for all "
         "values. Compute with tensors (where, masks), or do this part outside of the program");
}

void Recorder::call(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  if (isComposite(op, keys)) {
    op.redispatchBoxed(keys, stack);
    return;
  }
  const size_t arguments = op.schema().arguments().size();
  Instruction instruction{op, {}, {}, at::GradMode::is_enabled(), trace};
  {
    const std::lock_guard lock(mutex_);
    checkStatic(op, *stack);
    instruction.operands.reserve(arguments);
    for (auto value = stack->end() - static_cast<int64_t>(arguments); value != stack->end(); ++value) {
      instruction.operands.push_back(operandOf(*value));
    }
  }
  {
    // What a kernel calls is its own business.
    const c10::impl::ExcludeDispatchKeyGuard inside(kKey);
    try {
      op.redispatchBoxed(keys, stack);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      refuse(currentFailure(c10::toString(op.operator_name()), "", trace));
      throw;
    }
  }
  const std::lock_guard lock(mutex_);
  const size_t results = op.schema().returns().size();
  instruction.results.reserve(results);
  for (auto value = stack->end() - static_cast<int64_t>(results); value != stack->end(); ++value) {
    instruction.results.push_back(resultOf(*value));
  }
  program_.instructions.push_back(std::move(instruction));
}

Program Recorder::finish(const std::vector<at::Tensor>& outputs) {
  const std::lock_guard lock(mutex_);
  for (const at::Tensor& output : outputs) {
    program_.outputs.push_back(output.defined() ? use(output) : kNoValue);
  }
  // By index: naming a gradient may find further leaves.
  for (size_t i = 0; i < leaves_.size(); ++i) {
    const Leaf leaf = leaves_[i];
    program_.gradientStates.push_back({leaf.value, leaf.defined});
    const at::Tensor& gradient = leaf.tensor.grad();
    if (gradient.defined() ? gradient.unsafeGetTensorImpl() == leaf.gradient._unsafe_get_target() : !leaf.defined) continue;
    program_.gradientOutputs.push_back({leaf.value, gradient.defined() ? use(gradient) : kNoValue});
  }
  if (failure_) throw FailureError(failure_);
  return std::move(program_);
}

RecordingGuard::RecordingGuard(Recorder* recorder) : outer_(current) {
  if (recorder == nullptr && outer_ == nullptr) return;
  current = recorder;
  if (recorder != nullptr) include_.emplace(kKey);
}

RecordingGuard::~RecordingGuard() { current = outer_; }

void registerRecorder() {
  // Leaked: a static destructor that took it out would meet a dispatcher that is gone.
  static const auto* const registration = new c10::RegistrationHandleRAII(c10::Dispatcher::singleton().registerFallback(
      kKey, c10::KernelFunction::makeFromBoxedFunction<&fallback>(), "landmark-diffusion: recording programs"));
  static_cast<void>(registration);
}

}  // namespace ld::program
