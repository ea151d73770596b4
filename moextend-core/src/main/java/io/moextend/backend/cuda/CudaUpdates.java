package io.moextend.backend.cuda;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.UpdateKernels;

/** Kernels that write in place, over arrays of any length. */
interface CudaUpdates extends UpdateKernels {
  /** Elements of which one block sums the squares. */
  long SQUARES = 1 << 16;

  CudaDevice cuda();

  private Launch update(String name) {
    return cuda().launch(Source.UPDATE, name);
  }

  @Override
  default void accumulateInto(Array into, Array from, double s) {
    CudaArray target = CudaArray.number(into);
    CudaArray source = CudaArray.number(from);
    sameSize(into, from);
    if (source.size() > 0) {
      update("accumulate_" + target.suffix() + "_" + source.suffix())
          .array(target)
          .array(source)
          .number(s)
          .size(source.size())
          .run(Grid.elements(source.size()));
    }
  }

  @Override
  default void fillInto(Array into, double value) {
    CudaArray target = CudaArray.of(into);
    if (Double.doubleToRawLongBits(value) == 0) {
      cuda().clear(target);
    } else if (target.size() > 0) {
      update("fill_" + target.suffix())
          .array(target)
          .number(value)
          .size(target.size())
          .run(Grid.elements(target.size()));
    }
  }

  @Override
  default void copyInto(Array into, Array from) {
    sameSize(into, from);
    cuda().cast(CudaArray.of(into), CudaArray.of(from));
  }

  @Override
  default Array sumOfSquares(Arena to, Array x) {
    CudaArray source = CudaArray.number(x);
    var out = (CudaArray) to.allocate(DType.F64, 1);
    long blocks = Grid.ceil(source.size(), SQUARES);
    if (blocks == 0) {
      cuda().clear(out);
      return out;
    }
    try (var partial = cuda().scratch(DType.F64, blocks)) {
      update("squares_" + source.suffix())
          .array(partial.array())
          .array(source)
          .size(source.size())
          .size(SQUARES)
          .run(Grid.blocks(blocks, 0));
      update("sum_double").array(out).array(partial.array()).size(blocks).run(Grid.oneBlock());
    }
    return out;
  }

  @Override
  default void adamInto(Array master, Array m, Array v, Array gradient, AdamStep how) {
    adam(update("adam_f32"), master, m, v, gradient, how);
  }

  @Override
  default void adamInto(
      Array weights, Array master, Array m, Array v, Array gradient, AdamStep how) {
    CudaArray target = CudaArray.of(weights);
    sameSize(weights, master);
    adam(update("adam_weights_" + target.suffix()).array(target), master, m, v, gradient, how);
  }

  private static void adam(
      Launch launch, Array master, Array m, Array v, Array gradient, AdamStep how) {
    sameSize(master, m);
    sameSize(master, v);
    sameSize(master, gradient);
    launch
        .array(CudaArray.of(master, DType.F32))
        .array(CudaArray.of(m, DType.F32))
        .array(CudaArray.of(v, DType.F32))
        .array(CudaArray.of(gradient, DType.F32))
        .size(master.size())
        .number(1 - how.learningRate() * how.weightDecay())
        .number(how.beta1())
        .number(1 - how.beta1())
        .number(how.beta2())
        .number(1 - how.beta2())
        .number(how.eps())
        .number(how.learningRate() / (1 - Math.pow(how.beta1(), how.step())))
        .number(1 / Math.sqrt(1 - Math.pow(how.beta2(), how.step())))
        .number(how.gradientScale());
    if (master.size() > 0) {
      launch.run(Grid.elements(master.size()));
    }
  }

  private static void sameSize(Array a, Array b) {
    if (a.size() != b.size()) {
      throw new ShapeException("%s and %s are not of one size".formatted(a, b));
    }
  }
}
