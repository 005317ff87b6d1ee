// Guards of the cells of recurrent networks.
#include "dispatch/guards/arguments.h"
#include "dispatch/guards/families.h"

namespace ld::guards {

namespace {

// quantized_lstm_cell(input, hx, ...)
void twoStates(const Stack& stack) {
  TORCH_CHECK(stack.at(1).toTensorVector().size() == 2, "hx must be two tensors, the hidden state and the cell state");
}

// Gates of an LSTM (4) or GRU (3) cell, [batch, Gates * hidden], and states [batch, hidden].
void cell(const at::Tensor& input, const at::Tensor& hidden, int64_t gates, std::initializer_list<at::Tensor> states) {
  TORCH_CHECK(strided(input) && input.dim() == 2 && input.size(1) > 0 && input.size(1) % gates == 0 && sameSizes(input, hidden),
              "the gates must be two tensors of one shape, [batch, ", gates, " * hidden]");
  for (const auto& state : states) {
    TORCH_CHECK(!state.defined() || (strided(state) && state.dim() == 2 && state.size(0) == input.size(0) && state.size(1) == input.size(1) / gates),
                "states and gradients must have the shape [batch, hidden]");
  }
}

// (grad_hy, input_gates, hidden_gates, hx, input_bias?, hidden_bias?)
void gruBackward(const Stack& stack) {
  cell(tensor(stack, 1), tensor(stack, 2), 3, {tensor(stack, 0), tensor(stack, 3)});
}

// (grad_hy?, grad_cy?, input_gates, hidden_gates, input_bias?, hidden_bias?, cx, cy)
void lstmBackward(const Stack& stack) {
  cell(tensor(stack, 2), tensor(stack, 3), 4, {tensor(stack, 0), tensor(stack, 1), tensor(stack, 6), tensor(stack, 7)});
  TORCH_CHECK(tensor(stack, 0).defined() || tensor(stack, 1).defined(), "one of the gradients must be there");
}

bool shaped(const at::Tensor& tensor, std::initializer_list<int64_t> sizes) {
  return tensor.defined() && !tensor.is_nested() && tensor.sizes() == at::IntArrayRef(sizes);
}

// Weights and biases of each layer and direction, in PyTorch's order. `states` is what a layer hands on, `hidden`
// what its cells hold: they differ where an LSTM projects.
void layers(const std::vector<at::Tensor>& parameters, int64_t gates, int64_t input, int64_t states, int64_t hidden, bool biases, int64_t count,
            bool bidirectional) {
  const bool projects = states != hidden;
  const int64_t directions = bidirectional ? 2 : 1;
  const size_t each = 2 + (biases ? 2 : 0) + (projects ? 1 : 0);
  TORCH_CHECK(count > 0 && count <= static_cast<int64_t>(parameters.size()) && parameters.size() == each * count * directions, "wants ", each * count * directions, " weights and biases");
  const int64_t rows = gates * hidden;
  for (int64_t i = 0; i < count * directions; ++i) {
    const auto* const mine = parameters.data() + i * each;
    const int64_t width = i < directions ? input : states * directions;
    TORCH_CHECK(shaped(mine[0], {rows, width}) && shaped(mine[1], {rows, states}), "the weights of layer ", i / directions, " must be [", rows, ", ",
                width, "] and [", rows, ", ", states, "]");
    TORCH_CHECK(!biases || (shaped(mine[2], {rows}) && shaped(mine[3], {rows})), "the biases of layer ", i / directions, " must be [", rows, "]");
    TORCH_CHECK(!projects || shaped(mine[each - 1], {states, hidden}), "the projection of layer ", i / directions, " must be [", states, ", ", hidden, "]");
  }
}

// The hidden state of a cell, [layers * directions, batch, hidden] or without the batch.
int64_t width(const at::Tensor& state) {
  TORCH_CHECK(state.defined() && !state.is_nested() && state.dim() >= 2, "a hidden state must have 2 or 3 dimensions");
  return state.size(-1);
}

int64_t inputWidth(const at::Tensor& input) {
  TORCH_CHECK(input.defined() && !input.is_nested() && input.dim() >= 1, "input must have features in its last dimension");
  return input.size(-1);
}

void stateOf(const at::Tensor& state, int64_t stacked, int64_t batch) {
  TORCH_CHECK(strided(state) && state.dim() == 3 && state.size(0) == stacked && state.size(1) == batch, "hx must be [", stacked, ", ", batch, ", features]");
}

// lstm.input(input, hx [2], params, has_biases, num_layers, dropout, train, bidirectional, batch_first)
void lstm(const Stack& stack) {
  const auto states = tensors(stack, 1);
  TORCH_CHECK(states.size() == 2, "hx must be two tensors, the hidden state and the cell state");
  layers(tensors(stack, 2), 4, inputWidth(tensor(stack, 0)), width(states[0]), width(states[1]), stack.at(3).toBool(), stack.at(4).toInt(),
         stack.at(7).toBool());
  // oneDNN reads as many rows of the states as the input has.
  const auto input = tensor(stack, 0);
  TORCH_CHECK(input.dim() == 3, "input must have 3 dimensions");
  const int64_t batch = input.size(stack.at(8).toBool() ? 0 : 1), stacked = stack.at(4).toInt() * (stack.at(7).toBool() ? 2 : 1);
  for (const auto& state : states) stateOf(state, stacked, batch);
}

// data [total, ..] and batch_sizes [time]: how many of the sequences go on at each time, so never more than before.
// Gives the number of sequences.
int64_t sequences(const at::Tensor& data, const at::Tensor& sizes) {
  TORCH_CHECK(strided(data) && data.dim() > 0 && isIndex(sizes) && sizes.scalar_type() == at::kLong && sizes.dim() == 1 && sizes.numel() > 0,
              "wants data [total, ..] and int64 batch_sizes [time] on the CPU");
  const auto values = valuesOf(sizes);
  int64_t total = 0, last = data.size(0);
  for (const int64_t value : values) {
    TORCH_CHECK(value > 0 && value <= last, "batch_sizes must be positive, and never rise");
    total += last = value;
  }
  TORCH_CHECK(total == data.size(0), "batch_sizes must add up to the ", data.size(0), " rows of data");
  return values.front();
}

// _pack_padded_sequence_backward(grad, input_size, batch_sizes, ...)
void packBackward(const Stack& stack) { sequences(tensor(stack, 0), tensor(stack, 2)); }

// _pad_packed_sequence(data, batch_sizes, ...)
void padPacked(const Stack& stack) { sequences(tensor(stack, 0), tensor(stack, 1)); }

// quantized_lstm and quantized_gru, (input, ...) or (data, batch_sizes, ...), then (hx, params, has_biases, num_layers, dropout, train,
// bidirectional, batch_first?): a cell for each layer and direction.
template <size_t States, size_t Count>
void cells(const Stack& stack) {
  const auto input = tensor(stack, 0);
  const int64_t count = stack.at(States + 3).toInt(), given = static_cast<int64_t>(stack.at(States + 1).toListRef().size());
  const int64_t directions = stack.at(States + 6).toBool() ? 2 : 1;
  TORCH_CHECK(count > 0 && count <= given && given == count * directions, "wants weights for each of ", count, " layers and ", directions, " directions, got ", given);
  TORCH_CHECK(strided(input) && (States == 2 || input.dim() == 2 || input.dim() == 3), "input must be strided, of 2 or 3 dimensions");
  const auto states = Count == 1 ? std::vector<at::Tensor>{tensor(stack, States)} : tensors(stack, States);
  // One row at each time goes with any number of states.
  const bool isRow = States == 1 && input.dim() == 2 && !states.empty() && strided(states[0]) && states[0].dim() == 3;
  TORCH_CHECK(States == 2 || input.dim() == 3 || isRow, "hx must be [", given, ", batch, features]");
  const int64_t batch = States == 2 ? sequences(input, tensor(stack, 1)) : isRow ? states[0].size(1) : input.size(stack.at(States + 7).toBool() ? 0 : 1);
  TORCH_CHECK(states.size() == Count, "hx must be two tensors, the hidden state and the cell state");
  for (const auto& state : states) stateOf(state, given, batch);
}

// lstm.data(data, batch_sizes, hx [2], params, has_biases, num_layers, dropout, train, bidirectional)
void lstmPacked(const Stack& stack) {
  const auto states = tensors(stack, 2);
  TORCH_CHECK(states.size() == 2, "hx must be two tensors, the hidden state and the cell state");
  layers(tensors(stack, 3), 4, inputWidth(tensor(stack, 0)), width(states[0]), width(states[1]), stack.at(4).toBool(), stack.at(5).toInt(),
         stack.at(8).toBool());
  const int64_t batch = sequences(tensor(stack, 0), tensor(stack, 1)), stacked = stack.at(5).toInt() * (stack.at(8).toBool() ? 2 : 1);
  for (const auto& state : states) stateOf(state, stacked, batch);
}

// gru.input(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first), and rnn_*.input
template <int64_t Gates>
void recurrent(const Stack& stack) {
  const int64_t hidden = width(tensor(stack, 1));
  layers(tensors(stack, 2), Gates, inputWidth(tensor(stack, 0)), hidden, hidden, stack.at(3).toBool(), stack.at(4).toInt(), stack.at(7).toBool());
}

// gru.data(data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional), and rnn_*.data
template <int64_t Gates>
void recurrentPacked(const Stack& stack) {
  const int64_t hidden = width(tensor(stack, 2));
  layers(tensors(stack, 3), Gates, inputWidth(tensor(stack, 0)), hidden, hidden, stack.at(4).toBool(), stack.at(5).toInt(), stack.at(8).toBool());
  stateOf(tensor(stack, 2), stack.at(5).toInt() * (stack.at(8).toBool() ? 2 : 1), sequences(tensor(stack, 0), tensor(stack, 1)));
}

// mkldnn_rnn_layer(input [time, batch, in], weight0 [gates * hidden, in], weight1 [gates * hidden, hidden], bias0, bias1, hx, cx, reverse,
// batch_sizes, mode, hidden_size, num_layers, ...)
void mkldnnLayer(const Stack& stack) {
  const auto input = tensor(stack, 0);
  const int64_t mode = stack.at(9).toInt(), hidden = stack.at(10).toInt(), gates = mode == 2 ? 4 : 3;
  TORCH_CHECK((mode == 2 || mode == 3) && hidden > 0 && stack.at(11).toInt() == 1, "wants mode 2 (LSTM) or 3 (GRU), a hidden size, and one layer");
  TORCH_CHECK(strided(input) && input.dim() == 3 && input.numel() > 0, "input must be [time, batch, features]");
  TORCH_CHECK(shaped(tensor(stack, 1), {gates * hidden, input.size(2)}) && shaped(tensor(stack, 2), {gates * hidden, hidden}) &&
                  shaped(tensor(stack, 3), {gates * hidden}) && shaped(tensor(stack, 4), {gates * hidden}),
              "the weights must be [", gates * hidden, ", features] and [", gates * hidden, ", ", hidden, "], the biases [", gates * hidden, "]");
  const int64_t state = input.size(1) * hidden;
  TORCH_CHECK(strided(tensor(stack, 5)) && tensor(stack, 5).numel() == state && strided(tensor(stack, 6)) && tensor(stack, 6).numel() == state,
              "the states must be [1, batch, ", hidden, "]");
  for (size_t i = 0; i < 7; ++i) TORCH_CHECK(strided(tensor(stack, i)) && sameType(tensor(stack, i), input), "all tensors must be of one dtype");
}

}  // namespace

void addRecurrent(Table& table) {
  table.merge(Table{
      {"aten::lstm.input", lstm},
      {"aten::lstm.data", lstmPacked},
      {"aten::gru.input", recurrent<3>},
      {"aten::gru.data", recurrentPacked<3>},
      {"aten::rnn_tanh.input", recurrent<1>},
      {"aten::rnn_tanh.data", recurrentPacked<1>},
      {"aten::rnn_relu.input", recurrent<1>},
      {"aten::rnn_relu.data", recurrentPacked<1>},
      {"aten::mkldnn_rnn_layer", mkldnnLayer},
      {"aten::quantized_lstm_cell", twoStates},
      {"aten::quantized_lstm.input", cells<1, 2>},
      {"aten::quantized_lstm.data", cells<2, 2>},
      {"aten::quantized_gru.input", cells<1, 1>},
      {"aten::quantized_gru.data", cells<2, 1>},
      {"aten::_pack_padded_sequence_backward", packBackward},
      {"aten::_pad_packed_sequence", padPacked},
      {"aten::_thnn_differentiable_gru_cell_backward", gruBackward},
      {"aten::_thnn_differentiable_lstm_cell_backward", lstmBackward},
  });
}

}  // namespace ld::guards
