package io.moextend.shard;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.backend.Rounding;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Predicate;
import java.util.stream.IntStream;

/**
 * Weights drawn towards a target of each sample's, in units as a model has them. Gradients come as
 * from a tape: the last unit first, with a word between two units. They are multiples of 2^-12
 * small enough that sums of them are exact in any order.
 */
final class UnitTask implements AutoCloseable {
  /** Unit 3 trains nothing. */
  private static final long[][][] SHAPES = {
    {{7, 5}, {3}}, {{16, 16}, {9}, {4, 4}}, {{33, 2}, {2, 2, 2}}, {}, {{10, 10}, {1}}
  };

  private static final List<Role> ROLES =
      List.of(Role.VISION_TOWER, Role.PROJECTOR, Role.EXPERT, Role.EXPERT, Role.EXPERT);

  /** What every gradient is scaled by, in place of 1 / samples. */
  private static final double SCALE = 1.0 / 32;

  private final Backend backend;
  private final Arena arena;
  final List<List<Parameter>> units = new ArrayList<>();

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  UnitTask(Backend backend, DType compute) {
    this.backend = backend;
    this.arena = backend.arena("weights");
    for (int unit = 0; unit < SHAPES.length; unit++) {
      var parameters = new ArrayList<Parameter>();
      for (int i = 0; i < SHAPES[unit].length; i++) {
        var data = arena.allocate(compute, SHAPES[unit][i]);
        var name = "unit" + unit + ".p" + i + (SHAPES[unit][i].length == 1 ? ".bias" : ".weight");
        double[] values = new Random(name.hashCode()).doubles(data.size(), -1, 1).toArray();
        backend.copyIn(data, Rounding.encode(compute, values));
        var parameter = new Parameter(name, ROLES.get(unit), data);
        parameter.trainable(true);
        parameters.add(parameter);
      }
      units.add(parameters);
    }
  }

  List<Parameter> parameters() {
    return units.stream().flatMap(List::stream).toList();
  }

  Parameter parameter(String name) {
    return parameters().stream().filter(p -> p.name().equals(name)).findFirst().orElseThrow();
  }

  /** The samples that one rank sees in a micro-batch of a step. */
  static int[] samples(int step, int micro, int micros, int rank, int world, int global) {
    int each = global / (micros * world);
    int first = step * global + (micro * world + rank) * each;
    return IntStream.range(first, first + each).toArray();
  }

  /**
   * @param takesPart parameters that get a gradient
   */
  void backward(GradientSink sink, int[] samples, Predicate<Parameter> takesPart) {
    for (int unit = units.size() - 1; unit >= 0; unit--) {
      for (Parameter p : units.get(unit).reversed()) {
        if (takesPart.test(p)) {
          deliver(sink, p, gradient(p, samples));
        }
      }
      if (unit > 0 && units.subList(0, unit).stream().flatMap(List::stream).anyMatch(takesPart)) {
        sink.reached(unit);
      }
    }
  }

  void backward(GradientSink sink, int[] samples) {
    backward(sink, samples, p -> true);
  }

  /** In two halves, as a parameter that is used twice. */
  void deliver(GradientSink sink, Parameter p, double[] values) {
    try (Arena step = backend.arena("step")) {
      Array gradient = step.allocate(p.data().dtype().wide(), p.data().shape());
      double[] half = new double[values.length];
      for (int i = 0; i < half.length; i++) {
        half[i] = values[i] / 2;
      }
      backend.copyIn(gradient, Rounding.encode(gradient.dtype(), half));
      sink.accept(p, gradient);
      sink.accept(p, gradient);
    }
  }

  double[] gradient(Parameter p, int[] samples) {
    double[] w = values(p);
    double[] sum = new double[w.length];
    for (int sample : samples) {
      double[] target = new Random(sample * 31L + p.name().hashCode()).doubles(w.length).toArray();
      for (int i = 0; i < w.length; i++) {
        double g = (w[i] - 3 * target[i]) * (1 + 0.2 * w[i] * w[i]);
        sum[i] += Math.rint(Math.clamp(g, -8, 8) * 4096) / 4096 * SCALE;
      }
    }
    return sum;
  }

  double[] values(Parameter p) {
    byte[] bytes = new byte[(int) p.data().bytes()];
    backend.copyOut(p.data(), MemorySegment.ofArray(bytes));
    return Rounding.decode(p.data().dtype(), MemorySegment.ofArray(bytes));
  }

  /** All weights, one after the other. */
  double[] weights() {
    return parameters().stream().flatMapToDouble(p -> java.util.Arrays.stream(values(p))).toArray();
  }

  @Override
  public void close() {
    arena.close();
  }
}
