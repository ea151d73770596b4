package io.moextend.backend.cuda;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.LossKernels;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The balance of experts; no scalar comes to the host. */
interface CudaLosses extends LossKernels {
  CudaDevice cuda();

  private Launch loss(String name) {
    return cuda().launch(Source.LOSS, name);
  }

  @Override
  default Balance balance(
      Arena to,
      List<Array> probabilities,
      List<Array> chosen,
      @Nullable Array mask,
      BalanceForm form,
      double factor) {
    requireLayers(probabilities, mask, form);
    long tokens = probabilities.getFirst().dim(0);
    int layers = probabilities.size();
    var loss = (CudaArray) to.allocate(DType.F32, 1);
    var shares = new ArrayList<Array>();
    for (Array p : probabilities) {
      shares.add(to.allocate(DType.F32, p.dim(1)));
    }
    if (tokens == 0) {
      cuda().clear(loss);
      shares.forEach(s -> cuda().clear(CudaArray.of(s)));
      return new Balance(loss, shares);
    }
    long stride = probabilities.stream().mapToLong(p -> p.dim(1)).max().orElse(1);
    try (var weight = maskWeight(mask, tokens);
        var all = cuda().scratch(DType.F32, layers, stride);
        var means = cuda().scratch(DType.F32, layers, stride)) {
      cuda().clear(all.array());
      cuda().clear(means.array());
      for (int l = 0; l < layers; l++) {
        CudaArray p = CudaArray.of(probabilities.get(l), DType.F32);
        CudaArray which = CudaArray.of(chosen.get(l), DType.I32);
        which.require("chosen", tokens, -1);
        loss("balance_shares")
            .array(shares.get(l))
            .pointer(all.array().address(l * stride))
            .pointer(means.array().address(l * stride))
            .array(p)
            .array(which)
            .array(mask)
            .array(weight.array())
            .size(tokens)
            .flag(Math.toIntExact(p.dim(1)))
            .flag(Math.toIntExact(which.dim(1)))
            .run(Grid.blocks(p.dim(1), 0));
      }
      loss("balance_loss")
          .array(loss)
          .array(all.array())
          .array(means.array())
          .flag(layers)
          .flag(Math.toIntExact(stride))
          .flag(form == BalanceForm.POOLED)
          .number(factor)
          .run(Grid.oneBlock());
    }
    return new Balance(loss, shares);
  }

  /** 1 / number of tokens that count, on the card. */
  private CudaDevice.Scratch maskWeight(@Nullable Array mask, long tokens) {
    CudaDevice.Scratch weight = cuda().scratch(DType.F32, 1);
    loss("mask_weight").array(weight.array()).array(mask).size(tokens).run(Grid.oneBlock());
    return weight;
  }

  @Override
  default List<Array> balanceBackward(
      Arena to,
      Array dLoss,
      List<Array> probabilities,
      @Nullable Array mask,
      Balance forward,
      BalanceForm form,
      double factor) {
    requireLayers(probabilities, mask, form);
    CudaArray d = CudaArray.of(dLoss, DType.F32);
    long tokens = probabilities.getFirst().dim(0);
    int layers = probabilities.size();
    var gradients = new ArrayList<Array>();
    for (Array p : probabilities) {
      gradients.add(to.allocate(DType.F32, CudaArray.of(p).shape()));
    }
    if (tokens == 0) {
      return gradients;
    }
    try (var weight = maskWeight(mask, tokens);
        var pooled = cuda().scratch(DType.F32, probabilities.getFirst().dim(1))) {
      boolean together = form == BalanceForm.POOLED;
      if (together) {
        sumShares(pooled.array(), forward.shares());
      }
      // the sum of all layers' shares stands for their mean
      double scale = factor / layers / (together ? layers : 1);
      for (int l = 0; l < layers; l++) {
        Array gradient = gradients.get(l);
        loss("balance_backward")
            .array(gradient)
            .array(d)
            .array(together ? pooled.array() : forward.shares().get(l))
            .number(scale)
            .array(mask)
            .array(weight.array())
            .size(tokens)
            .flag(Math.toIntExact(gradient.dim(1)))
            .run(Grid.elements(gradient.size()));
      }
    }
    return gradients;
  }

  private void sumShares(CudaArray out, List<Array> shares) {
    try (var all = cuda().scratch(DType.F32, shares.size(), out.size())) {
      for (int l = 0; l < shares.size(); l++) {
        Array row = all.array().slice(l, l + 1).reshape(out.size());
        cuda().copy((CudaArray) row, CudaArray.of(shares.get(l)));
      }
      cuda()
          .columnSums(
              Source.ELEMENT,
              "column_sums_f32",
              out,
              shares.size(),
              launch -> launch.array(all.array()));
    }
  }

  private static void requireLayers(
      List<Array> probabilities, @Nullable Array mask, BalanceForm form) {
    Array first = probabilities.getFirst();
    for (Array p : probabilities) {
      p.require("probabilities", first.dim(0), form == BalanceForm.POOLED ? first.dim(1) : -1);
      CudaArray.of(p, DType.F32);
    }
    if (mask != null) {
      mask.require("mask", first.dim(0));
      CudaArray.of(mask, DType.U8);
    }
  }
}
