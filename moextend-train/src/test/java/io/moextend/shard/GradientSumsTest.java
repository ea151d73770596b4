package io.moextend.shard;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GradientSumsTest {
  @ParameterizedTest
  @ValueSource(strings = {"cpu", "nd4j"})
  void theFirstGradientIsTakenWithItsMemoryAndLaterOnesAreAdded(String name) {
    try (Backend backend = Backends.open(name, new BackendProvider.Options(2, 0), DType.F32);
        Arena model = backend.arena("model");
        Arena own = backend.arena("sums");
        Arena step = backend.arena("step")) {
      var parameter = new Parameter("w", Role.EXPERT, model.allocate(DType.F32, 2, 3));
      parameter.trainable(true);
      ParameterLayout layout = ParameterLayout.of(List.of(parameter), 1);
      var sums = new GradientSums(backend, own, layout);
      Array first = filled(backend, step, 1);
      assertThat(sums.take(parameter, first, step)).isTrue();
      assertThat(step.owns(first)).isFalse();
      assertThat(own.owns(first)).isTrue();
      assertThat(sums.take(parameter, filled(backend, step, 1), step)).isFalse();
      Array second = filled(backend, step, 2);
      sums.accept(parameter, second);
      assertThat(step.owns(second)).isTrue();
      assertThat(backend.toFloats(step, sums.of(layout.slice(parameter)))).containsOnly(3f);
      assertThat(sums.touched(layout.slice(parameter))).isTrue();
      sums.clear();
      assertThat(own.liveBytes()).isZero();
      assertThat(sums.take(parameter, filled(backend, step, 1).slice(0, 1), step)).isFalse();
    }
  }

  private static Array filled(Backend backend, Arena arena, double value) {
    Array array = arena.allocate(DType.F32, 2, 3);
    backend.fillInto(array, value);
    return array;
  }
}
