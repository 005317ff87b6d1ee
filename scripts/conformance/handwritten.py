"""Calls that neither the operator database nor invention finds: operators that want arguments fitting one another."""

import torch

aten = torch.ops.aten
QUINT8, QINT8, QINT32 = torch.quint8, torch.qint8, torch.qint32


def calls():
    """[(overload, args, kwargs, source)]."""
    torch.manual_seed(3)
    found = []
    for topic in (optimizers, foreach, embedding, losses, recurrent, attention, quantized, quantized_recurrent, sparse, nested, mkldnn,
                  convolution, upsampling, sequences, matrices, views, aliases, plain):
        for name, *args in topic():
            kwargs = args.pop() if args and isinstance(args[-1], dict) else {}
            found.append((f"aten::{name}", args, kwargs, f"written by hand: {topic.__name__}"))
    return found


def some(n=2, shape=(3, 2)):
    return [torch.rand(shape) for _ in range(n)]


def steps():
    return [torch.tensor(1.0), torch.tensor(4.0)]


def optimizers():
    for lr, tail in ((0.1, ""), (torch.tensor(0.1), ".tensor_lr")):
        common = {"lr": lr, "weight_decay": 0.01, "maximize": False}
        adam = common | {"beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "amsgrad": True}
        for amsgrad in (True, False):
            for name in ("_fused_adam", "_fused_adamw"):
                yield name + tail, some(), some(), some(), some(), some() if amsgrad else [], steps(), adam | {"amsgrad": amsgrad}
                yield name + "_" + tail, some(), some(), some(), some(), some() if amsgrad else [], steps(), adam | {"amsgrad": amsgrad}
        for name in ("_fused_sgd", "_fused_sgd_"):
            yield name + tail, some(), some(), some(), common | {"momentum": 0.9, "dampening": 0.1, "nesterov": False, "is_first_step": False}
        for name in ("_fused_adagrad", "_fused_adagrad_"):
            yield name + tail, some(), some(), some(), steps(), common | {"lr_decay": 0.1, "eps": 1e-8}
    one = torch.ones(1)
    for found_inf in (0.0, 1.0):
        for name in ("_amp_update_scale", "_amp_update_scale_"):
            yield name, torch.tensor([8.0]), torch.ones(1, dtype=torch.int32), torch.tensor([found_inf]), 2.0, 0.5, 2
    for name in ("_amp_foreach_non_finite_check_and_unscale", "_amp_foreach_non_finite_check_and_unscale_"):
        yield name, some(), torch.zeros(1), one * 0.5
        yield name, [torch.tensor([1.0, float("inf")])], torch.zeros(1), one * 0.5


def foreach():
    for name in ("addcmul", "addcdiv"):
        for tail in ("", "_"):
            yield f"_foreach_{name}{tail}.Scalar", some(), some(), some(), 2
            yield f"_foreach_{name}{tail}.ScalarList", some(), some(), some(), [2.0, 0.5]
            yield f"_foreach_{name}{tail}.Tensor", some(), some(), some(), torch.tensor([2.0, 0.5])


def embedding():
    weight, indices, offsets = torch.rand(6, 3), torch.tensor([0, 2, 4, 2, 1]), torch.tensor([0, 2])
    for mode in (0, 1, 2):
        out, offset2bag, size, maximum = aten._embedding_bag(weight, indices, offsets, False, mode)
        grad = torch.rand_like(out)
        yield "_embedding_bag", weight, indices, offsets, False, mode
        yield "_embedding_bag_forward_only", weight, indices, offsets, False, mode
        yield "_embedding_bag_backward", grad, indices, offsets, offset2bag, size, maximum, 6, False, mode, False, None
        yield "_embedding_bag_dense_backward", grad, indices, offset2bag, size, maximum, 6, False, mode, None
        if mode < 2:
            yield "_embedding_bag_sparse_backward", grad, indices, offsets, offset2bag, size, 6, False, mode, None
    out, offset2bag, size, maximum = aten._embedding_bag(weight, indices, offsets, False, 0)
    yield "_embedding_bag_per_sample_weights_backward", torch.rand_like(out), weight, indices, offsets, offset2bag, 0
    yield "embedding_bag", weight, indices, offsets
    yield "embedding_bag.padding_idx", weight, indices, offsets, False, 0, False, None, False, 1
    yield "embedding_dense_backward", torch.rand(5, 3), indices, 6, -1, False
    yield "embedding_sparse_backward", torch.rand(5, 3), indices, 6, -1, False
    yield "embedding_backward", torch.rand(5, 3), indices, 6, -1, False, False
    yield "embedding_renorm_", torch.rand(6, 3) * 3, indices, 1.0, 2.0


def losses():
    log_probs = torch.randn(6, 2, 4).log_softmax(2)
    targets, lengths, target_lengths = torch.tensor([[1, 2], [3, 1]]), [6, 5], [2, 1]
    loss, alpha = aten._ctc_loss(log_probs, targets, lengths, target_lengths)
    as_tensors = torch.tensor(lengths), torch.tensor(target_lengths)
    yield "_ctc_loss", log_probs, targets, lengths, target_lengths
    yield "_ctc_loss.Tensor", log_probs, targets, *as_tensors
    yield "ctc_loss.IntList", log_probs, targets, lengths, target_lengths
    yield "ctc_loss.Tensor", log_probs, targets, *as_tensors
    yield "_use_cudnn_ctc_loss", log_probs, targets, lengths, target_lengths, 0
    yield "_use_cudnn_ctc_loss.Tensor", log_probs, targets, *as_tensors, 0
    yield "_ctc_loss_backward", torch.ones(2), log_probs, targets, lengths, target_lengths, loss, alpha, 0
    yield "_ctc_loss_backward.Tensor", torch.ones(2), log_probs, targets, *as_tensors, loss, alpha, 0
    for reduction in (0, 1, 2):
        yield "cosine_embedding_loss", torch.rand(3, 4), torch.rand(3, 4), torch.tensor([1.0, -1, 1]), 0.1, reduction
        yield "hinge_embedding_loss", torch.rand(3), torch.tensor([1.0, -1, 1]), 1.0, reduction
        yield "margin_ranking_loss", torch.rand(3), torch.rand(3), torch.tensor([1.0, -1, 1]), 0.1, reduction
        yield "triplet_margin_loss", torch.rand(3, 4), torch.rand(3, 4), torch.rand(3, 4), 1.0, 2.0, 1e-6, False, reduction


def recurrent():
    data, hx = torch.rand(4, 2, 3), torch.rand(1, 2, 5)
    packed, batches = torch.rand(7, 3), torch.tensor([2, 2, 2, 1])

    def parameters(gates):
        return [torch.rand(5 * gates, 3), torch.rand(5 * gates, 5), torch.rand(5 * gates), torch.rand(5 * gates)]

    tail = (True, 1, 0.0, False, False)
    yield "lstm.input", data, [hx, hx.clone()], parameters(4), *tail, False
    yield "lstm.data", packed, batches, [hx, hx.clone()], parameters(4), *tail
    yield "gru.input", data, hx, parameters(3), *tail, False
    yield "gru.data", packed, batches, hx, parameters(3), *tail
    for kind in ("rnn_tanh", "rnn_relu"):
        yield f"{kind}.input", data, hx, parameters(1), *tail, False
        yield f"{kind}.data", packed, batches, hx, parameters(1), *tail
        yield f"{kind}_cell", data[0], hx[0], *parameters(1)
    yield "lstm_cell", data[0], [hx[0], hx[0].clone()], *parameters(4)
    yield "gru_cell", data[0], hx[0], *parameters(3)
    gates = torch.rand(2, 20)
    yield "_thnn_differentiable_lstm_cell_backward", torch.rand(2, 5), torch.rand(2, 5), gates, torch.rand(2, 20), torch.rand(20), torch.rand(20), torch.rand(2, 5), torch.rand(2, 5)
    yield "_thnn_differentiable_gru_cell_backward", torch.rand(2, 5), torch.rand(2, 15), torch.rand(2, 15), torch.rand(2, 5), torch.rand(15), torch.rand(15)
    weights = [torch.rand(20, 3), torch.rand(20, 5), torch.rand(20), torch.rand(20)]
    rnn = (False, [], 2, 5, 1, True, False, False)
    for train in (False, True):
        yield "mkldnn_rnn_layer", data, *weights, hx, hx.clone(), *rnn, train
    with torch.no_grad():
        out, hy, cy, workspace = aten.mkldnn_rnn_layer(data, *weights, hx, hx.clone(), *rnn, True)
    yield "mkldnn_rnn_layer_backward", data, *weights, hx, hx.clone(), out, hy, cy, torch.rand_like(out), torch.rand_like(hy), torch.rand_like(cy), False, 2, 5, 1, True, True, False, [], False, workspace


def attention():
    query = torch.rand(2, 3, 4)
    yield "_native_multi_head_attention", query, query, query, 4, 2, torch.rand(12, 4), torch.rand(12), torch.rand(4, 4), torch.rand(4)
    norms = [torch.rand(4) for _ in range(4)]
    for norm_first in (False, True):
        yield "_transformer_encoder_layer_fwd", query, 4, 2, torch.rand(12, 4), torch.rand(12), torch.rand(4, 4), torch.rand(4), False, norm_first, 1e-5, *norms, torch.rand(6, 4), torch.rand(6), torch.rand(4, 6), torch.rand(4)
    q = torch.rand(2, 2, 3, 4)
    yield "_scaled_dot_product_attention_math", q, q, q
    yield "_scaled_dot_product_flash_attention_for_cpu", q, q, q
    out, logsumexp = aten._scaled_dot_product_flash_attention_for_cpu(q, q, q)
    yield "_scaled_dot_product_flash_attention_for_cpu_backward", torch.rand_like(out), q, q, q, out, logsumexp, 0.0, False
    yield "_fused_sdp_choice", q, q, q
    yield "_transform_bias_rescale_qkv", torch.rand(2, 3, 12), torch.rand(12), 2
    yield "_masked_softmax", torch.rand(2, 2, 3, 3), torch.rand(3, 3) > 0.5, None, 0
    yield "_masked_softmax_backward", torch.rand(2, 2, 3, 3), torch.rand(2, 2, 3, 3).softmax(-1), torch.rand(2, 2, 3, 3) > 0.5
    yield "_triton_scaled_dot_attention", q, q, q


def quantized():
    x = torch.rand(1, 4, 6, 6) * 4 - 2
    scales, zeros = torch.tensor([0.1, 0.2, 0.1, 0.3], dtype=torch.float64), torch.tensor([0, 1, 2, 3])
    q = torch.quantize_per_tensor(x, 0.05, 10, QUINT8)
    other = torch.quantize_per_tensor(x * 2, 0.1, 5, QUINT8)
    channels = torch.quantize_per_channel(x, scales, zeros, 1, QINT8)
    integers = torch.randint(0, 100, (2, 4), dtype=torch.uint8)
    for dtype in (QUINT8, QINT8, QINT32):
        yield "quantize_per_tensor", x, 0.05, 10, dtype
        yield "quantize_per_tensor.tensor_qparams", x, torch.tensor(0.05), torch.tensor(10), dtype
        yield "quantize_per_channel", x, scales, zeros, 1, dtype
        yield "_empty_affine_quantized", [2, 3], {"dtype": dtype, "scale": 0.5, "zero_point": 3}
        yield "empty_quantized", [2, 3], torch.quantize_per_tensor(x, 0.05, 10, dtype)
        yield "_empty_per_channel_affine_quantized", [2, 4], {"scales": scales, "zero_points": zeros, "axis": 1, "dtype": dtype}
    yield "quantize_per_tensor.tensors", [x, x * 2], torch.tensor([0.05, 0.1]), torch.tensor([10, 5]), QUINT8
    yield "quantize_per_tensor_dynamic", x, QUINT8, False
    yield "_make_per_tensor_quantized_tensor", integers, 0.5, 3
    yield "_make_per_channel_quantized_tensor", integers, scales, zeros, 1
    yield "dequantize.tensors", [q, other]
    for one in (q, channels):
        for name in ("dequantize.self", "int_repr", "qscheme", "clone", "contiguous", "relu", "flatten.using_ints", "neg", "is_floating_point", "empty_like", "sort", "to.dtype", "view", "transpose.int", "select.int", "slice.Tensor", "q_scale", "q_zero_point", "q_per_channel_scales", "q_per_channel_zero_points", "q_per_channel_axis"):
            extra = {"sort": [0], "to.dtype": [torch.float32], "view": [[4, 36]], "transpose.int": [0, 1], "select.int": [0, 0]}.get(name, [])
            yield name, one, *extra
    yield "copy_", q, x
    yield "quantized_max_pool2d", q, [2, 2], [2, 2]
    yield "quantized_max_pool1d", torch.quantize_per_tensor(torch.rand(2, 3, 8), 0.05, 10, QUINT8), [2], [2]
    yield "quantized_max_pool3d", torch.quantize_per_tensor(torch.rand(1, 2, 4, 4, 4), 0.05, 10, QUINT8), [2, 2, 2], [2, 2, 2]
    yield "quantized_batch_norm", q, torch.rand(4), torch.rand(4), torch.rand(4), torch.rand(4) + 1, 1e-5, 0.1, 5
    yield "max_pool2d", q, [2, 2]
    yield "adaptive_avg_pool2d", q, [2, 2]
    yield "_adaptive_avg_pool2d", q, [2, 2]
    yield "avg_pool2d", q, [2, 2]
    yield "upsample_nearest2d", q, [8, 8]
    yield "upsample_bilinear2d", q, [8, 8], False
    yield "cat", [q, other]
    yield "equal", q, q.clone()
    yield "fill_.Scalar", q, 0.5
    for ranges in (True, False):
        yield "fake_quantize_per_tensor_affine", x, 0.1, 0, 0, 255
        yield "fake_quantize_per_channel_affine", x, scales.float(), zeros.int(), 1, 0, 255
        for name in ("_fused_moving_avg_obs_fq_helper", "_fused_moving_avg_obs_fq_helper_functional", "fused_moving_avg_obs_fake_quant"):
            size = 1 if ranges else 4
            yield name, torch.rand(3, 4), torch.ones(1, dtype=torch.int64), torch.ones(1, dtype=torch.int64), torch.zeros(size), torch.ones(size), torch.ones(size), torch.zeros(size, dtype=torch.int32), 0.01, 0, 255, 1 if not ranges else 0, not ranges, False
    grad = torch.rand(3, 4)
    yield "_fake_quantize_learnable_per_tensor_affine", grad, torch.tensor([0.1]), torch.tensor([2.0]), 0, 255, 1.0
    yield "_fake_quantize_learnable_per_tensor_affine_backward", grad, torch.rand(3, 4), torch.tensor([0.1]), torch.tensor([2.0]), 0, 255, 1.0
    yield "_fake_quantize_learnable_per_channel_affine", grad, torch.rand(4) + 0.1, torch.zeros(4), 1, 0, 255, 1.0
    yield "_fake_quantize_learnable_per_channel_affine_backward", grad, torch.rand(3, 4), torch.rand(4) + 0.1, torch.zeros(4), 1, 0, 255, 1.0
    yield "choose_qparams_optimized", torch.rand(32), 32, 200, 0.16, 8
    yield "_choose_qparams_per_tensor", x
    for block in (32, 64):
        packed = aten._dyn_quant_pack_4bit_weight(torch.randint(0, 255, (4, 32), dtype=torch.uint8), torch.rand(4, 64 // block), None, block, 64, 4)
        yield "_dyn_quant_matmul_4bit", torch.rand(2, 64), packed, block, 64, 4
    weight = torch.rand(8, 16)
    try:
        int8, columns, scale, zero = aten.fbgemm_linear_quantize_weight(weight)
        packed = aten.fbgemm_pack_quantized_matrix(int8)
    except RuntimeError:
        return
    yield "fbgemm_linear_quantize_weight", weight
    yield "fbgemm_pack_quantized_matrix", int8
    yield "fbgemm_pack_gemm_matrix_fp16", weight
    yield "fbgemm_linear_fp16_weight_fp32_activation", torch.rand(2, 16), weight, torch.rand(8)


def quantized_recurrent():
    """`params` are the tensors that frames.cells makes objects of."""
    data, packed, batches = torch.rand(4, 2, 3), torch.rand(7, 3), torch.tensor([2, 2, 2, 1])

    def weight(*shape):
        return torch.rand(shape) - 0.5

    def int8(*shape):
        return torch.quantize_per_tensor(weight(*shape), 0.01, 0, QINT8)

    for make, dtype in ((int8, QINT8), (weight, torch.float16)):
        for layers, bidirectional in ((1, False), (2, True)):
            directions = 2 if bidirectional else 1
            hx = torch.rand(layers * directions, 2, 5)
            tail = (True, layers, 0.0, False, bidirectional)

            def parameters(gates):
                widths = [3 if layer == 0 else 5 * directions for layer in range(layers) for _ in range(directions)]
                return [t for width in widths for t in (make(5 * gates, width), make(5 * gates, 5), torch.rand(5 * gates), torch.rand(5 * gates))]

            dynamic = {"dtype": dtype, "use_dynamic": True}
            yield "quantized_lstm.input", data, [hx, hx.clone()], parameters(4), *tail, False, dynamic
            yield "quantized_lstm.data", packed, batches, [hx, hx.clone()], parameters(4), *tail, dynamic
            yield "quantized_gru.input", data, hx, parameters(3), *tail, False
            yield "quantized_gru.data", packed, batches, hx, parameters(3), *tail
    hx = torch.rand(1, 2, 5)
    plain = [weight(20, 3), weight(20, 5), torch.rand(20), torch.rand(20)]
    tail = (True, 1, 0.0, False, False)
    # Its packed weights are objects that no file can hold.
    yield "quantized_lstm_cell", data[0], [hx[0], hx[0]], plain[0], plain[1], plain[2], plain[3], plain[0], plain[0], plain[2], plain[3], 1.0, 1.0, 0, 0
    yield "quantized_lstm.input_legacy", data, [hx, hx.clone()], plain, *tail, False
    yield "quantized_lstm.data_legacy", packed, batches, [hx, hx.clone()], plain, *tail
    yield "quantized_gru.input_legacy", data, hx, plain, *tail, False
    yield "quantized_gru.data_legacy", packed, batches, hx, plain, *tail


def sparse():
    index = torch.tensor([[0, 1, 1], [2, 0, 2]])
    coo = torch.sparse_coo_tensor(index, torch.rand(3), (3, 3))
    done = coo.coalesce()
    doubled = torch.sparse_coo_tensor(torch.tensor([[0, 0], [1, 1]]), torch.tensor([1.0, 2.0]), (2, 2))
    hybrid = torch.sparse_coo_tensor(torch.tensor([[0, 2]]), torch.rand(2, 3), (3, 3)).coalesce()
    dense = torch.rand(3, 3)
    csr, csc = dense.relu().to_sparse_csr(), dense.to_sparse_csc()
    bsr, bsc = torch.rand(4, 4).to_sparse_bsr((2, 2)), torch.rand(4, 4).to_sparse_bsc((2, 2))
    for one in (coo, done, doubled, hybrid):
        for name in ("coalesce", "_coalesce", "is_coalesced", "_indices", "_values", "_nnz", "sparse_dim", "dense_dim", "_dimI", "_dimV", "to_dense", "_to_dense", "neg", "abs", "clone", "_indices_copy", "_values_copy", "t", "sum", "_sparse_sum", "relu", "sqrt", "zeros_like", "empty_like", "isnan", "any", "norm.Scalar", "resize_as_sparse_", "to_sparse_csr", "sgn", "sign", "is_same_size", "numel"):
            extra = {"resize_as_sparse_": [done], "is_same_size": [one]}.get(name, [])
            yield name, one, *extra
        yield "_coalesced_", one, True
        yield "mul.Scalar", one, 2
        yield "mul.Tensor", one, one
        yield "add.Tensor", one, one
        yield "sub.Tensor", one, one
        yield "div.Scalar", one, 2.0
        yield "pow.Tensor_Scalar", one, 2
        yield "transpose.int", one, 0, 1
        yield "permute", one, [1, 0]
        yield "select.int", one, 0, 1
        yield "narrow_copy", one, 0, 0, 1
        yield "index_select", one, 0, torch.tensor([0, 1])
        yield "unsqueeze", one, 0
        yield "cat", [one, one]
        yield "sparse_mask", torch.rand(one.shape), one
        yield "copy_sparse_to_sparse_", one, one
        yield "sparse_resize_", one, list(one.shape), one.sparse_dim(), one.dense_dim()
        yield "sparse_resize_and_clear_", one, list(one.shape), one.sparse_dim(), one.dense_dim()
        yield "zero_", one
        yield "_sparse_sum.dim", one, [0]
        yield "_sparse_sum.dtype", one, {"dtype": torch.float64}
        yield "_sparse_sum.dim_dtype", one, [0], {"dtype": torch.float64}
        yield "_sparse_softmax", one, 0, False
        yield "_sparse_softmax.int", one, 0
        yield "_sparse_log_softmax", one, 0, False
        yield "_sparse_log_softmax.int", one, 0
        yield "native_norm", one, 2
        yield "native_norm.ScalarOpt_dim_dtype", one, 2, [0, 1], False, None
        yield "to_sparse.sparse_dim", one.to_dense(), 1
        yield "sspaddmm", one, one, torch.rand(one.shape[1], one.shape[1])
        yield "_sparse_sparse_matmul", one, one
    for one in (done, hybrid):
        yield "indices", one
        yield "values", one
        yield "indices_copy", one
        yield "values_copy", one
    yield "_sparse_sum_backward", torch.rand(3), done, [0]
    yield "_sparse_sum_backward", torch.tensor(1.0), done, [0, 1]
    softmax = aten._sparse_softmax.default(done, 1, False)
    yield "_sparse_softmax_backward_data", softmax, softmax, 1, done
    yield "_sparse_log_softmax_backward_data", softmax, aten._sparse_log_softmax.default(done, 1, False), 1, done
    yield "_sparse_mask_projection", done, done, False
    yield "_sparse_mask_projection", coo, done, True
    yield "_sparse_broadcast_to", done, [2, 3, 3]
    yield "_sparse_broadcast_to_copy", done, [2, 3, 3]
    yield "_sparse_mm", done, dense
    yield "sparse_sampled_addmm", csr, dense, dense
    yield "_sparse_addmm", dense, done, dense
    yield "addmm", dense, done, dense
    yield "addmm", dense, csr, dense
    yield "mm", done, dense
    yield "mm", csr, dense
    yield "mv", done, torch.rand(3)
    yield "smm", done, dense
    yield "hspmm", done, dense
    yield "bmm", torch.rand(2, 3, 3).to_sparse(), torch.rand(2, 3, 3)
    for reduce in ("sum", "mean", "amax", "amin"):
        yield "_sparse_mm.reduce", csr, dense, reduce
        yield "_sparse_mm_reduce_impl", csr, dense, reduce
    out, argument = aten._sparse_mm_reduce_impl(csr, dense, "amax")
    yield "_sparse_mm_reduce_impl_backward", csr, torch.rand_like(out), dense, "amax", argument, [True, True]
    for one in (csr, csc, bsr, bsc):
        rows = one.layout in (torch.sparse_csr, torch.sparse_bsr)
        names = ("crow_indices", "col_indices") if rows else ("ccol_indices", "row_indices")
        compressed, plain = (getattr(one, name)() for name in names)
        for name in (*names, "values", "crow_indices_copy", "col_indices_copy", "ccol_indices_copy", "row_indices_copy", "values_copy", "_nnz", "dense_dim", "sparse_dim", "to_dense", "_to_dense", "to_sparse", "_to_sparse", "clone", "neg", "abs", "sin", "transpose.int", "zeros_like", "empty_like", "sum", "relu"):
            extra = {"transpose.int": [0, 1]}.get(name, [])
            yield name, one, *extra
        for layout in (torch.sparse_csr, torch.sparse_csc, torch.sparse_coo):
            yield "to_sparse", one, {"layout": layout}
            yield "_to_sparse", one, {"layout": layout}
        yield "to_sparse_csr", one
        yield "to_sparse_csc", one
        yield "_to_sparse_csr", one
        yield "_to_sparse_csc", one
        kind = name_of_layout(one.layout)
        for prefix in ("", "_"):
            suffix = "_unsafe" if prefix else f".{names[0][:names[0].index('_')]}_{names[1][:3]}_value_size"
            yield f"{prefix}{kind}_tensor{suffix}", compressed, plain, one.values(), list(one.shape), {"layout": one.layout, "dtype": one.dtype}
        yield f"{kind}_tensor.{names[0][:names[0].index('_')]}_{names[1][:3]}_value", compressed, plain, one.values(), {"layout": one.layout, "dtype": one.dtype}
        yield "sparse_compressed_tensor.comp_plain_value_size", compressed, plain, one.values(), list(one.shape), {"layout": one.layout, "dtype": one.dtype}
        yield "sparse_compressed_tensor.comp_plain_value", compressed, plain, one.values(), {"layout": one.layout, "dtype": one.dtype}
        yield "_sparse_compressed_tensor_unsafe", compressed, plain, one.values(), list(one.shape), {"layout": one.layout, "dtype": one.dtype}
        yield "_validate_sparse_compressed_tensor_args", compressed, plain, one.values(), list(one.shape), one.layout
        yield f"_validate_{kind}_tensor_args", compressed, plain, one.values(), list(one.shape)
        block = [2, 2] if "bs" in kind else []
        yield "_sparse_compressed_tensor_with_dims", 4, 0, list(one.shape), block, torch.int64, {"layout": one.layout, "dtype": torch.float32}
        if kind.startswith("sparse_cs"):
            yield "_sparse_csr_sum.dim_dtype", one, [0], True
            yield "_sparse_csr_prod.dim_dtype", one, [0], True
            yield "select_copy.int", one, 0, 1
            yield "to_sparse_bsr", dense.repeat(2, 2), [2, 2]
    for name in ("to_sparse_bsr", "to_sparse_bsc", "_to_sparse_bsr", "_to_sparse_bsc"):
        yield name, torch.rand(4, 4), [2, 2]
    for name in ("to_sparse_csr", "to_sparse_csc", "_to_sparse_csr", "_to_sparse_csc", "to_sparse", "_to_sparse"):
        yield name, dense
    yield "_convert_indices_from_coo_to_csr", torch.tensor([0, 0, 1, 2]), 3
    yield "_convert_indices_from_csr_to_coo", torch.tensor([0, 2, 3, 4]), torch.tensor([0, 1, 1, 2])
    values = torch.rand(3)
    yield "sparse_coo_tensor.indices", index, values
    yield "sparse_coo_tensor.indices_size", index, values, [3, 3]
    yield "sparse_coo_tensor.size", [3, 3], {"dtype": torch.float32, "layout": torch.sparse_coo}
    yield "_sparse_coo_tensor_unsafe", index, values, [3, 3], {"dtype": torch.float32, "layout": torch.sparse_coo}
    yield "_sparse_coo_tensor_with_dims", 2, 0, [3, 3], {"dtype": torch.float32, "layout": torch.sparse_coo}
    yield "_sparse_coo_tensor_with_dims_and_tensors", 2, 0, [3, 3], index, values, {"dtype": torch.float32, "layout": torch.sparse_coo}
    yield "_validate_sparse_coo_tensor_args", index, values, [3, 3]
    yield "_spdiags", torch.rand(2, 3), torch.tensor([0, 1]), [3, 3]
    yield "_spdiags", torch.rand(3), torch.tensor([1]), [3, 3], torch.sparse_csr


def name_of_layout(layout):
    return str(layout)[len("torch."):]


def nested():
    rows = [torch.rand(2, 3), torch.rand(4, 3)]
    one = aten._nested_tensor_from_tensor_list(rows)
    yield "_nested_tensor_from_tensor_list", rows
    for name in ("_nested_tensor_size", "_nested_tensor_strides", "_nested_tensor_storage_offsets", "clone", "neg", "relu", "abs", "detach", "to_padded_tensor", "unbind.int", "tanh", "gelu", "silu", "zeros_like", "empty_like", "cos", "sin", "logical_not", "isnan", "sgn"):
        yield name, one, *({"to_padded_tensor": [0.5]}.get(name, []))
    yield "add.Tensor", one, one
    yield "mul.Tensor", one, one
    yield "mul.Scalar", one, 2
    yield "linear", one, torch.rand(5, 3), torch.rand(5)
    yield "softmax.int", one, -1
    yield "_softmax", one, -1, False
    yield "select.int", one, 0, 1
    yield "transpose.int", one, 1, 2
    yield "matmul", one, aten.transpose.int(one, 1, 2)
    yield "bmm", one, aten.transpose.int(one, 1, 2)
    yield "layer_norm", one, [3], torch.rand(3), torch.rand(3)
    yield "native_layer_norm", one, [3], torch.rand(3), torch.rand(3), 1e-5
    yield "dropout", one, 0.5, False
    yield "_nested_select_backward", torch.rand(4, 3), one, 0, 1
    yield "_nested_tensor_softmax_with_shape", one, one
    yield "_nested_from_padded_and_nested_example", torch.rand(2, 4, 3), one
    yield "_nested_from_padded", torch.rand(2, 4, 3), torch.tensor([[2, 3], [4, 3]])
    yield "_nested_tensor_from_mask", torch.rand(2, 3, 4), torch.tensor([[True, True, False], [True, False, False]])
    yield "_nested_tensor_from_mask_left_aligned", torch.rand(2, 3, 4), torch.tensor([[True, True, False], [True, False, False]])
    yield "_nested_view_from_buffer", torch.rand(18), torch.tensor([[2, 3], [4, 3]]), torch.tensor([[3, 1], [3, 1]]), torch.tensor([0, 6])
    yield "_nested_view_from_buffer_copy", torch.rand(18), torch.tensor([[2, 3], [4, 3]]), torch.tensor([[3, 1], [3, 1]]), torch.tensor([0, 6])
    offsets = torch.tensor([0, 2, 5])
    yield "_jagged_to_padded_dense_forward", torch.rand(5, 3), [offsets], [3], 0.5
    yield "_padded_dense_to_jagged_forward", torch.rand(2, 3, 4), [offsets], 5
    yield "_nested_compute_contiguous_strides_offsets", torch.tensor([[2, 3], [4, 3]])


def mkldnn():
    image, weight = torch.rand(1, 4, 6, 6), torch.rand(4, 4, 3, 3)
    packed = image.to_mkldnn()
    matrix = torch.rand(3, 4).to_mkldnn()
    yield "to_mkldnn", image
    for one in (packed, matrix):
        for name in ("to_dense", "_to_dense", "clone", "relu", "sigmoid", "tanh", "gelu", "zeros_like", "empty_like", "relu_", "sigmoid_", "tanh_", "zero_"):
            yield name, one
        yield "mul.Tensor", one, one
        yield "add.Tensor", one, one
        yield "mul.Scalar", one, 2.0
    yield "to_mkldnn_backward", torch.rand(3, 4), torch.rand(3, 4)
    yield "_mkldnn_reshape", matrix, [4, 3]
    yield "_mkldnn_transpose", matrix, 0, 1
    yield "_mkldnn_transpose_", matrix, 0, 1
    yield "reshape", matrix, [4, 3]
    yield "transpose.int", matrix, 0, 1
    yield "mkldnn_linear", matrix, torch.rand(5, 4).to_mkldnn(), torch.rand(5).to_mkldnn()
    yield "mkldnn_linear_backward_input", [3, 4], torch.rand(3, 5).to_mkldnn(), torch.rand(5, 4).to_mkldnn()
    yield "mkldnn_linear_backward_weights", torch.rand(3, 5).to_mkldnn(), matrix, torch.rand(5, 4).to_mkldnn(), True
    yield "mkldnn_linear_backward", matrix, torch.rand(3, 5).to_mkldnn(), torch.rand(5, 4).to_mkldnn(), [True, True, True]
    yield "_softmax", matrix, 1, False
    yield "mkldnn_convolution", image, weight, torch.rand(4), [1, 1], [1, 1], [1, 1], 1
    yield "mkldnn_convolution", packed, weight.to_mkldnn(), None, [1, 1], [1, 1], [1, 1], 1
    yield "mkldnn_reorder_conv2d_weight", weight.to_mkldnn(), [1, 1], [1, 1], [1, 1], 1
    yield "mkldnn_reorder_conv3d_weight", torch.rand(4, 4, 3, 3, 3).to_mkldnn(), [1, 1, 1], [1, 1, 1], [1, 1, 1], 1
    for dims, size in ((2, [1, 4, 6, 6]), (3, [1, 2, 4, 4, 4])):
        volume = torch.rand(size).to_mkldnn()
        out = getattr(aten, f"mkldnn_max_pool{dims}d")(volume, [2] * dims, [2] * dims)
        yield f"mkldnn_max_pool{dims}d", volume, [2] * dims, [2] * dims
        yield f"mkldnn_max_pool{dims}d_backward", out, out, volume, [2] * dims, [2] * dims
    pooled = aten.mkldnn_adaptive_avg_pool2d(packed, [2, 2])
    yield "mkldnn_adaptive_avg_pool2d", packed, [2, 2]
    yield "mkldnn_adaptive_avg_pool2d_backward", pooled, packed
    yield "avg_pool2d", packed, [2, 2]
    yield "native_batch_norm", packed, torch.rand(4), torch.rand(4), torch.zeros(4), torch.ones(4), True, 0.1, 1e-5


def convolution():
    image, weight = torch.rand(1, 2, 5, 5), torch.rand(3, 2, 3, 3)
    common = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
    yield "_convolution_double_backward", torch.rand_like(image), torch.rand_like(weight), torch.rand(3), torch.rand(1, 3, 5, 5), weight, image, *common, [True, True, True]
    yield "_convolution", image, weight, torch.rand(3), *common, False, False, True, True
    yield "_convolution.deprecated", image, weight, torch.rand(3), *common, False, False, True
    yield "convolution_backward", torch.rand(1, 3, 5, 5), image, weight, [3], *common, [True, True, True]
    yield "_slow_conv2d_forward", image, weight, [3, 3], torch.rand(3), [1, 1], [1, 1]
    yield "thnn_conv2d", image, weight, [3, 3], torch.rand(3), [1, 1], [1, 1]
    yield "_slow_conv2d_backward.output_mask", torch.rand(1, 3, 5, 5), image, weight, [3, 3], [1, 1], [1, 1], [True, True, True]
    for name in ("_slow_conv2d_backward.output_mask_out", "_slow_conv2d_backward.grad_input"):
        outs = [torch.zeros_like(image), torch.zeros_like(weight), torch.zeros(3)]
        names = ["out0", "out1", "out2"] if "mask" in name else ["grad_input", "grad_weight", "grad_bias"]
        mask = [[True, True, True]] if "mask" in name else []
        yield name, torch.rand(1, 3, 5, 5), image, weight, [3, 3], [1, 1], [1, 1], *mask, dict(zip(names, outs))
    yield "slow_conv_dilated2d", image, weight, [3, 3], torch.rand(3), [1, 1], [2, 2], [2, 2]
    yield "slow_conv_transpose2d", image, torch.rand(2, 3, 3, 3), [3, 3], torch.rand(3)
    volume, cube = torch.rand(1, 2, 4, 4, 4), torch.rand(3, 2, 3, 3, 3)
    yield "slow_conv3d", volume, cube, [3, 3, 3], torch.rand(3), [1, 1, 1], [1, 1, 1]
    yield "slow_conv3d_forward", volume, cube, [3, 3, 3], torch.rand(3), [1, 1, 1], [1, 1, 1]
    yield "slow_conv_dilated3d", volume, cube, [3, 3, 3], torch.rand(3), [1, 1, 1], [1, 1, 1], [1, 1, 1]
    yield "slow_conv_transpose3d", volume, torch.rand(2, 3, 3, 3, 3), [3, 3, 3], torch.rand(3)
    yield "conv_tbc", torch.rand(5, 2, 3), torch.rand(3, 3, 4), torch.rand(4), 1
    yield "conv_tbc_backward", torch.rand(5, 2, 4), torch.rand(5, 2, 3), torch.rand(3, 3, 4), torch.rand(4), 1
    yield "_unsafe_view", image, [2, 25]
    yield "conv_depthwise3d", volume, torch.rand(2, 1, 3, 3, 3), [3, 3, 3], None, [1, 1, 1], [1, 1, 1], [1, 1, 1]
    im2col = aten.im2col(image, [3, 3], [1, 1], [1, 1], [1, 1])
    yield "im2col", image, [3, 3], [1, 1], [1, 1], [1, 1]
    yield "col2im", im2col, [5, 5], [3, 3], [1, 1], [1, 1], [1, 1]


def upsampling():
    image, large = torch.rand(1, 2, 4, 4), torch.rand(1, 2, 6, 6)
    for kind in ("bilinear2d_aa", "bicubic2d_aa", "lanczos2d_aa", "nearest_exact2d"):
        corners = [] if kind.startswith("nearest") else [False]
        yield f"_upsample_{kind}", image, [6, 6], *corners
        yield f"_upsample_{kind}.vec", image, [6, 6], *corners, None
        yield f"_upsample_{kind}.vec", image, None, *corners, [1.5, 1.5]
        yield f"_upsample_{kind}_backward", large, [6, 6], [1, 2, 4, 4], *corners
    grid = torch.rand(1, 3, 3, 2) * 2 - 1
    for mode in (0, 1):
        yield "_grid_sampler_2d_cpu_fallback", image, grid, mode, 0, False
        yield "_grid_sampler_2d_cpu_fallback_backward", torch.rand(1, 2, 3, 3), image, grid, mode, 0, False


def sequences():
    lengths = torch.tensor([3, 2])
    data, batches = aten._pack_padded_sequence(torch.rand(3, 2, 4), lengths, False)
    yield "_pack_padded_sequence", torch.rand(3, 2, 4), lengths, False
    yield "_pack_padded_sequence", torch.rand(2, 3, 4), lengths, True
    yield "_pack_padded_sequence_backward", torch.rand_like(data), [3, 2, 4], batches, False
    yield "_pad_packed_sequence", data, batches, False, 0.5, 3
    for name in ("segment_reduce",):
        yield name, torch.rand(5, 2), "sum", {"lengths": torch.tensor([2, 3]), "axis": 0}
    yield "_sobol_engine_draw", torch.zeros(3, dtype=torch.int64), 4, aten._sobol_engine_initialize_state_(torch.zeros(3, 30, dtype=torch.int64), 3), 3, 0, torch.float32
    yield "_sobol_engine_ff_", torch.zeros(3, dtype=torch.int64), 4, aten._sobol_engine_initialize_state_(torch.zeros(3, 30, dtype=torch.int64), 3), 3, 0
    yield "_sobol_engine_initialize_state_", torch.zeros(3, 30, dtype=torch.int64), 3
    yield "_sobol_engine_scramble_", aten._sobol_engine_initialize_state_(torch.zeros(3, 30, dtype=torch.int64), 3), torch.ones(3, 30, 30, dtype=torch.int64).tril(), 3


def matrices():
    yield "_int_mm", torch.randint(-9, 9, (32, 16), dtype=torch.int8), torch.randint(-9, 9, (16, 8), dtype=torch.int8)
    yield "_grouped_mm", torch.rand(2, 8, 16, dtype=torch.bfloat16), torch.rand(2, 16, 8, dtype=torch.bfloat16)
    yield "_grouped_mm", torch.rand(2, 8, 16), torch.rand(2, 16, 8)
    eight = torch.float8_e4m3fn
    yield "_scaled_mm", torch.rand(16, 32).to(eight), torch.rand(16, 32).to(eight).t(), torch.tensor(1.0), torch.tensor(0.5), None, None, torch.float32
    yield "_scaled_mm", torch.rand(16, 32).to(eight), torch.rand(16, 32).to(eight).t(), torch.tensor(1.0), torch.tensor(0.5)
    four = torch.randint(0, 15, (32, 64), dtype=torch.int32)
    packed = aten._convert_weight_to_int4pack_for_cpu(four, 2)
    yield "_convert_weight_to_int4pack_for_cpu", four, 2
    yield "_weight_int4pack_mm_for_cpu", torch.rand(4, 64, dtype=torch.bfloat16), packed, 32, torch.rand(2, 32, 2, dtype=torch.bfloat16)
    yield "_weight_int8pack_mm", torch.rand(4, 32, dtype=torch.bfloat16), torch.randint(-9, 9, (16, 32), dtype=torch.int8), torch.rand(16, dtype=torch.bfloat16)
    points = torch.rand(6, 2)
    yield "_histogramdd_from_bin_tensors", points, [torch.linspace(0, 1, 4), torch.linspace(0, 1, 3)]
    yield "_histogramdd_from_bin_cts", points, [3, 2], {"range": [0.0, 1.0, 0.0, 1.0]}
    yield "_histogramdd_bin_edges", points, [3, 2]
    yield "histogramdd", points, [3, 2]
    yield "histogramdd.int_bins", points, 3
    yield "histogramdd.TensorList_bins", points, [torch.linspace(0, 1, 4), torch.linspace(0, 1, 3)]
    yield "_compute_linear_combination", torch.rand(3, 4), torch.rand(2, 3)


def views():
    x = torch.rand(2, 3)
    yield "_reshape_from_tensor", x, torch.tensor([3, 2])
    yield "_shape_as_tensor", x
    yield "set_.source_Storage", torch.rand(0), torch.rand(6).untyped_storage()
    yield "set_.source_Storage_storage_offset", torch.rand(0), torch.rand(6).untyped_storage(), 1, [2, 2], [2, 1]
    yield "set.source_Storage", torch.rand(0), torch.rand(6).untyped_storage()
    yield "set.source_Storage_storage_offset", torch.rand(0), torch.rand(6).untyped_storage(), 1, [2, 2], [2, 1]
    yield "set_.source_Tensor_storage_offset", torch.rand(0), torch.rand(6), 1, [2, 2], [2, 1]
    yield "set_.source_Tensor", torch.rand(0), torch.rand(2, 3)
    yield "set_", torch.rand(2)
    yield "set", torch.rand(2)
    yield "as_strided_", torch.rand(2, 3), [3, 2], [1, 3]
    yield "resize_", torch.rand(2, 3), [3]
    yield "resize_as_", torch.rand(2, 3), torch.rand(3)
    for name, *args in (("t_",), ("transpose_", 0, 1), ("squeeze_",), ("squeeze_.dim", 0), ("squeeze_.dims", [0]), ("unsqueeze_", 1), ("swapaxes_", 0, 1), ("swapdims_", 0, 1), ("detach_",)):
        yield name, torch.rand(1, 3), *args
        yield name, torch.ones(1, 3, dtype=torch.int64), *args


def aliases():
    """Public names whose own calls PyTorch's database makes under another name."""
    x, least, most = torch.rand(2, 3), torch.full((3,), 0.3), torch.full((3,), 0.6)
    for name in ("clip", "clip_"):
        yield name, x.clone(), 0.3, 0.6
        yield name, torch.arange(6), 2, None
        yield name, x.double(), None, 0.5
        yield f"{name}.Tensor", x.clone(), least, most
        yield f"{name}.Tensor", x.clone().t(), least[:2], None
        yield f"{name}.Tensor", torch.rand(0, 3), least, most
    yield "clamp.Tensor", x, least, most
    scores, target = torch.rand(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    for reduction in (0, 1, 2):
        yield "nll_loss2d", scores, target, None, reduction
        yield "nll_loss2d", scores.double(), target, torch.rand(3, dtype=torch.float64), reduction, 1
    for rank in (2, 3):
        size = [2, 3, *[4] * rank]
        theta = torch.rand(2, rank, rank + 1)
        for corners in (True, False):
            yield "affine_grid_generator", theta, size, corners
            yield "affine_grid_generator", theta.double(), size, corners
            yield "affine_grid_generator_backward", torch.rand(2, *[4] * rank, rank), size, corners
            for mode in (0, 1):
                yield "grid_sampler", torch.rand(size), torch.rand(2, *[3] * rank, rank) * 2 - 1, mode, 0, corners
    index, source = torch.tensor([[0, 1, 1]]), torch.rand(3, 3)
    for name in ("scatter", "scatter_"):
        for reduce in ("add", "multiply"):
            yield f"{name}.value_reduce", source.clone(), 0, index, 2.0, {"reduce": reduce}
            yield f"{name}.value_reduce", torch.ones(3, 3, dtype=torch.int64), 1, index.t().contiguous(), 3, {"reduce": reduce}
    yield "bucketize.Tensor", torch.rand(2, 3), torch.linspace(0, 1, 5)
    yield "bucketize.Tensor", torch.rand(3, dtype=torch.float64), torch.linspace(0, 1, 5, dtype=torch.float64), {"right": True, "out_int32": True}
    yield "float_power.Tensor_Tensor", torch.rand(3), torch.rand(3)
    yield "float_power.Tensor_Tensor", torch.arange(1, 4), torch.rand(2, 1)
    yield "index_fill.int_Tensor", torch.rand(3, 3), 1, torch.tensor([0, 2]), torch.tensor(2.0)
    yield "bitwise_xor.Scalar_Tensor", 5, torch.arange(6)
    yield "__rshift__.Tensor", torch.arange(8), torch.tensor(1)
    square = torch.eye(3) + torch.rand(3, 3)
    for order in ("fro", "nuc"):
        yield "linalg_cond.p_str", square, order
        yield "linalg_cond.p_str", square.double().expand(2, 3, 3), order
    for dims in ([0, 1], [1, 0]):
        yield "nuclear_norm.dim", torch.rand(3, 4), dims, True
    for name in ("add", "mul", "div"):
        yield f"_foreach_{name}.Tensor", some(), torch.tensor(2.0)
    yield "_foreach_addcmul.Tensor", some(), some(), some(), torch.tensor([2.0, 0.5])
    yield "_foreach_lerp.ScalarList", some(), some(), [0.5, 0.1]


def plain():
    yield "get_gradients", 1
    for self in (torch.rand(4), torch.rand(2, 3)):
        yield "_cummin_helper", self, torch.empty_like(self), torch.empty_like(self, dtype=torch.int64), 0
    for tail, out in (("", {}), (".out", {"out": torch.rand(1)})):
        yield f"_nnpack_spatial_convolution{tail}", torch.rand(1, 2, 4, 4), torch.rand(3, 5, 3, 3), None, [0, 0], out
    yield "_remove_batch_dim", torch.rand(2, 3), 1, 4, 1
    yield "_is_any_true", torch.tensor([False, True])
    yield "_is_all_true", torch.tensor([False, True])
    yield "_assert_async", torch.tensor(True)
    yield "_assert_async.msg", torch.tensor(True), "message"
    yield "_functional_assert_async.msg", torch.tensor(True), "message", torch.rand(1)
    yield "_assert_scalar", 1, "message"
    yield "_functional_assert_scalar", 1, "message", torch.rand(1)
    yield "_assert_tensor_metadata", torch.rand(2, 3), [2, 3], [3, 1], torch.float32
    yield "sym_constrain_range", 3, {"min": 0, "max": 5}
    yield "sym_constrain_range_for_size", 3, {"min": 0, "max": 5}
    yield "_functional_sym_constrain_range", 3, 0, 5, torch.rand(1)
    yield "_print", "text"
    yield "is_set_to", torch.rand(2), torch.rand(2)
    yield "equal", torch.ones(2), torch.ones(2)
    yield "is_same_size", torch.ones(2), torch.ones(2)
    yield "can_cast", torch.int64, torch.float32
    yield "promote_types", torch.int64, torch.float16
    yield "_has_compatible_shallow_copy_type", torch.ones(2), torch.ones(2)
    yield "_has_same_storage_numel", torch.ones(2), torch.ones(2)
    yield "item", torch.tensor(2**60 + 1)
    yield "item", torch.tensor(1.5)
    yield "_local_scalar_dense", torch.tensor(True)
    yield "_local_scalar_dense", torch.tensor(1 + 2j)
    yield "full", [2], float("nan")
    yield "full", [2], float("-inf"), {"dtype": torch.bfloat16}
    yield "full", [2], 2**62 + 1
    yield "fill_.Scalar", torch.zeros(2, dtype=torch.int64), -(2**63)
    yield "add.Scalar", torch.zeros(2, dtype=torch.int64), 2**53 + 1
    yield "mul.Scalar", torch.ones(2, dtype=torch.complex32), 2 + 1j
    yield "record_stream", torch.rand(2), torch.Stream("cpu")
