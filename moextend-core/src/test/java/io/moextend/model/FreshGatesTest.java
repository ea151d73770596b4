package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.WeightSource;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A converted checkpoint has no gates: they are drawn when it is opened. */
class FreshGatesTest {
  @TempDir Path folder;

  private static boolean isGate(String name) {
    return name.contains(".mlp.gate.") || name.contains(".mlp.gate_vis.");
  }

  private static Map<String, float[]> gates(MixedCase c, long seed) {
    var gates = new TreeMap<String, float[]>();
    WeightSource source = c.without(FreshGatesTest::isGate);
    try (OpenModel model = OpenModel.of(source, c.config, c.backend, DType.F32, Set.of(), seed);
        Arena arena = c.backend.arena("gates")) {
      model.decoder().parameters().stream()
          .filter(p -> isGate(p.name()))
          .forEach(p -> gates.put(p.name(), c.backend.toFloats(arena, p.data())));
      assertThat(model.initialised()).containsExactlyInAnyOrderElementsOf(gates.keySet());
    }
    return gates;
  }

  @Test
  void gatesThatTheCheckpointLacksAreDrawnFromTheSeedEachByItself() throws IOException {
    try (var c = new MixedCase("cpu", "moiie_llama3", folder)) {
      Map<String, float[]> drawn = gates(c, 7);
      assertThat(drawn).hasSize(4);
      float[] all = new float[0];
      for (float[] gate : drawn.values()) {
        int from = all.length;
        all = Arrays.copyOf(all, from + gate.length);
        System.arraycopy(gate, 0, all, from, gate.length);
      }
      double squares = 0;
      for (float value : all) {
        squares += value * value;
      }
      assertThat(Math.sqrt(squares / all.length)).isCloseTo(0.02, within(0.002));
      assertThat(drawn.values().stream().map(Arrays::toString).distinct()).hasSize(4);
      Map<String, float[]> again = gates(c, 7);
      drawn.forEach((name, gate) -> assertThat(again.get(name)).as(name).isEqualTo(gate));
      Map<String, float[]> other = gates(c, 8);
      drawn.forEach((name, gate) -> assertThat(other.get(name)).as(name).isNotEqualTo(gate));
    }
  }

  @Test
  void anExpertThatTheCheckpointLacksIsMissed() throws IOException {
    try (var c = new MixedCase("cpu", "moiie_llama3", folder)) {
      String expert = "model.layers.3.mlp.experts.2.down_proj.weight";
      WeightSource source = c.without(expert::equals);
      assertThatThrownBy(
              () -> OpenModel.of(source, c.config, c.backend, DType.F32, Set.of(), 7).close())
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("has no tensor " + expert);
    }
  }
}
