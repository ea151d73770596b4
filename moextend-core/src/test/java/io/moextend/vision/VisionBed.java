package io.moextend.vision;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.model.FreshParameters;
import io.moextend.model.LoadedParameters;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/** A backend with an arena, golden tensors on it, and what a tape delivers. F32. */
final class VisionBed implements AutoCloseable {
  private static final double ABSOLUTE = 2e-5;
  private static final double RELATIVE = 2e-4;

  final Backend backend;
  final Arena arena;
  final Map<String, float[]> gradients = new LinkedHashMap<>();

  @SuppressWarnings("MustBeClosedChecker") // closed in close()
  VisionBed(String name) {
    this.backend = Backends.open(name, new Options(2, 0));
    this.arena = backend.arena("vision");
  }

  static Stream<String> backends() {
    return Stream.of("cpu", "nd4j")
        .filter(name -> Backends.known().stream().anyMatch(p -> p.name().equals(name)));
  }

  @SuppressWarnings("MustBeClosedChecker") // closed by the caller
  static WeightSource open(String file) {
    return SafetensorsFile.open(Golden.path(file));
  }

  LoadedParameters parameters(WeightSource weights, Set<Role> trained) {
    var fresh = new FreshParameters(backend, arena, DType.F32, trained, 0.02, 0);
    return new LoadedParameters(weights, backend, arena, DType.F32, trained, fresh, Set.of());
  }

  Array array(TensorData data) {
    return backend.floats(arena, DType.F32, data.floats(), data.shape());
  }

  Tape tape() {
    return Tape.recording(
        backend,
        arena,
        (p, d) -> gradients.merge(p.name(), backend.toFloats(arena, d), VisionBed::sum));
  }

  private static float[] sum(float[] a, float[] b) {
    float[] sum = new float[a.length];
    for (int i = 0; i < sum.length; i++) {
      sum[i] = a[i] + b[i];
    }
    return sum;
  }

  void agree(String what, Tensor got, TensorData want) {
    agree(what, backend.toFloats(arena, got.data()), want.floats());
  }

  static void agree(String what, float[] got, float[] want) {
    assertThat(got).as(what).hasSameSizeAs(want);
    for (int i = 0; i < want.length; i++) {
      double off = Math.abs((double) got[i] - want[i]);
      assertThat(off)
          .as("%s [%d] is %s, wanted %s", what, i, got[i], want[i])
          .isLessThanOrEqualTo(ABSOLUTE + RELATIVE * Math.abs(want[i]));
    }
  }

  @Override
  public void close() {
    arena.close();
    backend.close();
  }
}
