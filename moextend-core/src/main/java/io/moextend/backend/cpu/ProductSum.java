package io.moextend.backend.cpu;

import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.MatrixKernels.Addend;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * A sum of products, block by block of the result: each is summed wide, in scratch memory that
 * stays in the cache, and rounded once, or where it is while it is in the cache. Cut as {@link Cut}
 * says.
 */
final class ProductSum {
  private static final int SUMS = 1;
  private static final int ROW = 1;

  /** So many columns of a source make a thin product. */
  private static final int THIN = 64;

  private final CpuDevice cpu;
  private final CpuArray out;
  private final int width;
  private final Cut cut;
  private final List<Panel> panels = new ArrayList<>();
  private @Nullable CpuArray first;
  private @Nullable CpuArray bias;

  /**
   * Some columns of a source times weights.
   *
   * @param column the first of them
   * @param weights address of what the first column of the panel is made with
   */
  private record Factor(CpuArray source, int column, int inner, Gemm.Layout layout, long weights) {}

  /** Columns of the result. */
  private record Panel(int first, int columns, List<Factor> factors) {}

  /**
   * @param out [R, width]
   */
  ProductSum(CpuDevice cpu, CpuArray out) {
    this.cpu = cpu;
    this.out = out;
    this.width = CpuDevice.count(out.dim(1));
    this.cut = Cut.of(new int[] {0, CpuDevice.count(out.dim(0))}, width);
  }

  /** A product's dY and W; the result is dY W, summed over all of them. */
  record Term(CpuArray source, PlainMatrix matrix) {}

  /**
   * @param start what is added to, of out's shape and type, or null
   */
  void transposed(@Nullable CpuArray start, List<Term> terms) {
    first = start;
    for (int from = 0; from < width; from += cut.columns()) {
      var factors = new ArrayList<Factor>();
      for (Term term : terms) {
        addOver(term.source, term.matrix, from, factors);
      }
      factors.sort(Comparator.comparingInt(Factor::inner).reversed());
      panels.add(new Panel(from, Math.min(cut.columns(), width - from), factors));
    }
    run();
  }

  /** Of source · matrix all that makes the columns from {@code column} on. */
  private static void addOver(
      CpuArray source, PlainMatrix matrix, int column, List<Factor> factors) {
    var layout = new Gemm.Layout(matrix.in(), 1);
    for (PlainMatrix.Part part : matrix.parts()) {
      long weights = part.weights().address(column);
      factors.add(new Factor(source, part.first(), part.rows(), layout, weights));
    }
  }

  /** x Wᵀ + bias + what is added to some columns. */
  void forward(CpuArray x, PlainMatrix matrix, @Nullable CpuArray bias, List<Addend> addends) {
    this.bias = bias;
    var layout = new Gemm.Layout(1, matrix.in());
    int inner = CpuDevice.count(matrix.in());
    for (PlainMatrix.Part part : matrix.parts()) {
      int at = part.first();
      for (int end : ends(part, addends)) {
        for (int from = at; from < end; from += cut.columns()) {
          var factors = new ArrayList<Factor>();
          long weights = part.weights().address((long) (from - part.first()) * inner);
          factors.add(new Factor(x, 0, inner, layout, weights));
          for (Addend addend : addends) {
            if (from >= addend.from() && from < addend.from() + addend.b().in()) {
              PlainMatrix b = CpuProducts.plain(addend.b());
              addOver(CpuArray.of(addend.h()), b, from - (int) addend.from(), factors);
            }
          }
          panels.add(new Panel(from, Math.min(cut.columns(), end - from), factors));
        }
        at = end;
      }
    }
    run();
  }

  /** Where panels of a part have to end, besides where they are long enough. */
  private static TreeSet<Integer> ends(PlainMatrix.Part part, List<Addend> addends) {
    var ends = new TreeSet<Integer>();
    int last = part.first() + part.rows();
    for (Addend addend : addends) {
      ends.add((int) Math.clamp(addend.from(), part.first(), last));
      ends.add((int) Math.clamp(addend.from() + addend.b().in(), part.first(), last));
    }
    ends.add(last);
    return ends;
  }

  /** Throws unless what is added fits the columns. */
  static void require(Addend addend, long rows, long width, DType type) {
    CpuArray.of(addend.h(), type).require("addend.h", rows, addend.b().out());
    if (addend.from() < 0 || addend.from() + addend.b().in() > width) {
      throw new ShapeException(
          "%d columns from column %d on of %d".formatted(addend.b().in(), addend.from(), width));
    }
  }

  private void run() {
    int rows = CpuDevice.count(out.dim(0));
    int block = rows == 0 ? 1 : cut.block(rows);
    int blocks = Math.ceilDiv(rows, block);
    cpu.workers()
        .run(
            panels.size() * blocks,
            (lane, i) -> {
              int from = i % blocks * block;
              run(lane, panels.get(i / blocks), from, Math.min(block, rows - from));
            });
  }

  private void run(Lane lane, Panel panel, int from, int rows) {
    int columns = panel.columns;
    long result = out.address((long) from * width + panel.first);
    boolean inPlace = out.dtype() == DType.F32 || first == null && isThin(panel);
    long sums = inPlace ? result : lane.scratch(SUMS, 4L * rows * columns);
    int stride = inPlace ? width : columns;
    DType type = inPlace ? out.dtype() : DType.F32;
    if (first != null) {
      start(first, (long) from * width + panel.first, rows, columns, sums, stride);
    }
    for (int f = 0; f < panel.factors.size(); f++) {
      boolean add = f > 0 || first != null;
      multiply(lane, panel, panel.factors.get(f), from, rows, add, type, sums, stride);
    }
    if (!inPlace) {
      round(lane, sums, rows, columns, out.dtype(), result, width);
    }
  }

  /**
   * True where the result itself can take the sum: a product and at most one thin one on top of it,
   * as of a LoRA, which is not worth a wide copy; it is rounded twice then.
   */
  private static boolean isThin(Panel panel) {
    int factors = panel.factors.size();
    return factors == 1 || factors == 2 && panel.factors.getLast().inner <= THIN;
  }

  /** The sums begin with rows of {@code before}. */
  private void start(CpuArray before, long element, int rows, int columns, long sums, int stride) {
    for (int r = 0; r < rows; r++) {
      long source = before.address(element + (long) r * width);
      long to = sums + 4L * r * stride;
      if (before.dtype() == DType.F32) {
        Bytes.copy(source, to, 4L * columns);
      } else {
        widen(source, to, columns);
      }
    }
  }

  private static void widen(long source, long to, int columns) {
    int whole = columns - columns % Vectors.LANES;
    PointwiseLoops.widenTo(source, to, whole);
    for (int c = whole; c < columns; c++) {
      Floats.set(to + 4L * c, Floats.get(DType.BF16, source + 2L * c));
    }
  }

  private void multiply(
      Lane lane,
      Panel panel,
      Factor factor,
      int row,
      int rows,
      boolean add,
      DType type,
      long sums,
      int stride) {
    CpuArray source = factor.source;
    boolean down = factor.layout.columnStride() == 1 && source.dtype() == DType.F32;
    int most = down ? RowProducts.F32_INNER : factor.inner;
    boolean biased = bias != null && !add;
    for (int from = 0; from < factor.inner; from += most) {
      long skipped = from * factor.layout.rowStride() * source.dtype().bytes();
      lane.gemm()
          .multiply(
              new Gemm.Shape(
                  rows,
                  Math.min(most, factor.inner - from),
                  panel.columns,
                  source.dtype(),
                  type,
                  new Gemm.Layout(source.dim(1), 1),
                  factor.layout,
                  stride,
                  biased,
                  add || from > 0),
              source.address(row * source.dim(1) + factor.column + from),
              factor.weights + skipped,
              biased && bias != null ? bias.address(panel.first) : 0,
              sums);
    }
  }

  /**
   * Rows of F32 sums, one after the other, become rows of an array.
   *
   * @param width of the array, in elements
   */
  static void round(
      Lane lane, long sums, int rows, int columns, DType type, long result, int width) {
    int bytes = type.bytes();
    if (type == DType.BF16 && columns % Vectors.LANES == 0) {
      for (int r = 0; r < rows; r++) {
        PointwiseLoops.narrowTo(
            sums + 4L * r * columns, result + (long) r * width * bytes, columns);
      }
      return;
    }
    float[] row = lane.floats(ROW, columns);
    for (int r = 0; r < rows; r++) {
      Floats.load(DType.F32, sums + 4L * r * columns, columns, row);
      Floats.store(row, columns, type, result + (long) r * width * bytes);
    }
  }
}
