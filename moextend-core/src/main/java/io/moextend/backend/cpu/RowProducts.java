package io.moextend.backend.cpu;

import io.moextend.array.DType;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Row groups of x, each through its own weights, into the same rows of the result: x Wᵀ, or x W.
 * Cut into panels of columns and blocks of rows by {@link Cut}; each is one task, and neighbours
 * share weights.
 */
final class RowProducts {
  private static final int SUMS = 1;

  /**
   * Rows of f32 weights that x W takes at once. They lie far apart, often by a power of two, so
   * that more of them drive each other out of the cache; bf16 weights are repacked by the library.
   */
  static final int F32_INNER = 256;

  private final CpuDevice cpu;
  private final CpuArray x;
  private final CpuArray out;
  private final @Nullable CpuArray bias;
  private final int inner;
  private final int width;
  private final boolean transposed;

  /** Some rows times the weights of some columns of the result. */
  private record Task(Cut.Panel panel, int from, int until) {
    int rows() {
      return until - from;
    }
  }

  /**
   * @param transposed true for x Wᵀ, with which alone a bias goes
   */
  RowProducts(
      CpuDevice cpu, CpuArray x, CpuArray out, @Nullable CpuArray bias, boolean transposed) {
    this.cpu = cpu;
    this.x = x;
    this.out = out;
    this.bias = bias;
    this.transposed = transposed;
    this.inner = CpuDevice.count(x.dim(1));
    this.width = CpuDevice.count(out.dim(1));
  }

  /**
   * @param offsets where each group's rows begin, and the end
   * @param weights each group's
   */
  void run(int[] offsets, List<PlainMatrix> weights) {
    Cut cut = Cut.of(offsets, width);
    var tasks = new ArrayList<Task>();
    for (int g = 0; g < weights.size(); g++) {
      if (offsets[g + 1] > offsets[g]) {
        for (Cut.Panel panel : cut.panels(weights.get(g), transposed)) {
          for (int from = offsets[g]; from < offsets[g + 1]; ) {
            int until = from + cut.block(offsets[g + 1] - from);
            tasks.add(new Task(panel, from, until));
            from = until;
          }
        }
      }
    }
    cpu.workers().run(tasks.size(), (lane, i) -> run(lane, tasks.get(i)));
  }

  private void run(Lane lane, Task task) {
    List<Cut.Factor> factors = task.panel.factors();
    long result = out.address((long) task.from * width + task.panel.first());
    if (factors.size() == 1 || out.dtype() == DType.F32) {
      for (int f = 0; f < factors.size(); f++) {
        multiply(lane, task, factors.get(f), f > 0, out.dtype(), result, width);
      }
      return;
    }
    // A sum over stacked parts is rounded once.
    int columns = task.panel.columns();
    long sums = lane.scratch(SUMS, 4L * task.rows() * columns);
    for (int f = 0; f < factors.size(); f++) {
      multiply(lane, task, factors.get(f), f > 0, DType.F32, sums, columns);
    }
    ProductSum.round(lane, sums, task.rows(), columns, out.dtype(), result, width);
  }

  private void multiply(
      Lane lane,
      Task task,
      Cut.Factor factor,
      boolean accumulate,
      DType type,
      long result,
      int stride) {
    int most = narrowed(factor, type) ? F32_INNER : factor.inner();
    for (int from = 0; from < factor.inner(); from += most) {
      long skipped = from * factor.layout().rowStride() * x.dtype().bytes();
      lane.gemm()
          .multiply(
              new Gemm.Shape(
                  task.rows(),
                  Math.min(most, factor.inner() - from),
                  task.panel.columns(),
                  x.dtype(),
                  type,
                  new Gemm.Layout(inner, 1),
                  factor.layout(),
                  stride,
                  bias != null,
                  accumulate || from > 0),
              x.address((long) task.from * inner + factor.first() + from),
              factor.address() + skipped,
              bias == null ? 0 : bias.address(task.panel.first()),
              result);
    }
  }

  /** True where weights are read down their columns and the result can be added to. */
  private boolean narrowed(Cut.Factor factor, DType type) {
    return !transposed && x.dtype() == DType.F32 && type == DType.F32 && factor.inner() > F32_INNER;
  }
}
