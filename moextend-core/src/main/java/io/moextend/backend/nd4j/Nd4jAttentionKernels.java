package io.moextend.backend.nd4j;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels;
import org.jspecify.annotations.Nullable;

/** Attention of one key head and a block of queries at a time. */
interface Nd4jAttentionKernels extends AttentionKernels {
  @Override
  default Attended attend(
      Arena to,
      Attention shape,
      Array q,
      Array k,
      Array v,
      @Nullable Sight sight,
      @Nullable Array bias) {
    requireInputs(shape, q, k, v, sight, bias);
    Array out = to.allocate(q.dtype(), q.shape());
    Array logSumExp =
        to.allocate(q.dtype().wide(), shape.batch(), shape.queryHeads(), shape.queries());
    if (out.size() > 0) {
      Nd4jArray.of(out).assign(0);
      Nd4jArray.of(logSumExp).assign(AttentionBlock.NOTHING);
      if (k.size() > 0) {
        new AttentionForward(shape, q, k, v, sight, bias, out, logSumExp).run();
      }
    }
    return new Attended(out, logSumExp);
  }

  @Override
  default AttentionGradients attendBackward(
      Arena to,
      Attention shape,
      Array dOut,
      Array q,
      Array k,
      Array v,
      Attended forward,
      @Nullable Sight sight,
      @Nullable Array bias,
      boolean wantBias) {
    requireInputs(shape, q, k, v, sight, bias);
    dOut.require("dOut", q.shape());
    SameType.require("dOut", dOut, q.dtype());
    Array dQ = zeros(to, q.dtype(), q.shape());
    Array dK = zeros(to, k.dtype(), k.shape());
    Array dV = zeros(to, v.dtype(), v.shape());
    Array dBias =
        wantBias
            ? zeros(to, q.dtype().wide(), shape.queryHeads(), shape.queries(), shape.keys())
            : null;
    var gradients = new AttentionGradients(dQ, dK, dV, dBias);
    if (q.size() > 0 && k.size() > 0) {
      new AttentionBackward(shape, dOut, q, k, v, forward, sight, bias, gradients).run();
    }
    return gradients;
  }

  private static Array zeros(Arena to, DType dtype, long... shape) {
    Array zeros = to.allocate(dtype, shape);
    if (zeros.size() > 0) {
      Nd4jArray.of(zeros).assign(0);
    }
    return zeros;
  }

  private static void requireInputs(
      Attention shape, Array q, Array k, Array v, @Nullable Sight sight, @Nullable Array bias) {
    long keyRows = (long) shape.batch() * shape.keys();
    long keyWidth = (long) shape.keyHeads() * shape.headSize();
    q.require(
        "q", (long) shape.batch() * shape.queries(), (long) shape.queryHeads() * shape.headSize());
    k.require("k", keyRows, keyWidth);
    v.require("v", keyRows, keyWidth);
    SameType.require("k", k, q.dtype());
    SameType.require("v", v, q.dtype());
    Nd4jArray.requireComputed(q.dtype(), "q");
    if (sight != null) {
      sight.require(shape);
    }
    if (bias != null) {
      bias.require("bias", shape.queryHeads(), shape.queries(), shape.keys());
      SameType.require("bias", bias, q.dtype().wide());
    }
  }
}
