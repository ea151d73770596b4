package io.moextend.bench;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.model.FreshParameters;
import io.moextend.nn.ParameterFactory.Init;
import io.moextend.stage.Stage;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class NeededFlopsTest {
  private static final StepSize SIZE = new StepSize(64, 192, 4, 4, 96, 2, 256);

  /** What is needed is done, and little else: so the count forgets no product. */
  @ParameterizedTest
  @EnumSource(
      value = Stage.class,
      names = {"ALIGNMENT", "EXTENSION", "FINETUNE"})
  void theProductsThatAreNeededAreNearlyAllThatAStepDoes(Stage stage) {
    var work =
        new StepBench.Work(StepModel.MIXTRAL, stage, SIZE, DType.F32, false, TokenRouting.BALANCED);
    try (Backend backend = Backends.open("cpu", new BackendProvider.Options(1, 0))) {
      var profile = new KernelProfile(backend);
      try (var bench = new StepBench(profile.backend(), work, 0)) {
        profile.restart(false);
        bench.backpropagate((parameter, gradient) -> {}, 1);
      }
      double done = profile.lines().stream().mapToDouble(KernelProfile.Line::flops).sum();
      double needed = NeededFlops.of(SIZE, stage).products();
      assertThat(needed / done)
          .as("%s: needed %s, done %s", stage, needed, done)
          .isBetween(0.9, 1.001);
    }
  }

  @Test
  void aLargeMatrixIsNormalAndTheSameEachTimeAndUnlikeTheNext() {
    try (Backend backend = Backends.open("cpu", new BackendProvider.Options(2, 0));
        Arena arena = backend.arena("weights")) {
      var fresh = new FreshParameters(backend, arena, DType.BF16, Set.of(), 0.02, 0);
      var large = new RepeatedNormals(fresh, arena, DType.BF16);
      long rows = 4100;
      float[] a =
          values(
              backend, arena, large.parameter("a", Parameter.Role.EXPERT, Init.NORMAL, rows, 4096));
      float[] again =
          values(
              backend, arena, large.parameter("a", Parameter.Role.EXPERT, Init.NORMAL, rows, 4096));
      float[] b =
          values(
              backend, arena, large.parameter("b", Parameter.Role.EXPERT, Init.NORMAL, rows, 4096));
      large.done();
      double squares = 0;
      for (float x : a) {
        squares += x * x;
      }
      assertThat(Math.sqrt(squares / a.length)).isBetween(0.0199, 0.0201);
      assertThat(a).isEqualTo(again).isNotEqualTo(b);
    }
  }

  private static float[] values(Backend backend, Arena arena, Parameter parameter) {
    Array data = parameter.data();
    return backend.toFloats(arena, data.reshape(data.size()));
  }
}
