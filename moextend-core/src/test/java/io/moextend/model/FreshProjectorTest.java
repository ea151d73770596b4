package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.moextend.Golden;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.Selected;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** A language model and a tower that were never put together. */
class FreshProjectorTest {
  private static final Path FOLDER = Golden.path("moextend/vision_align");
  private static final DecoderConfig CONFIG = HuggingFaceConfig.read(FOLDER).decoder();

  private static WeightSource without(String part) {
    return new Selected(CheckpointFolder.open(FOLDER), name -> !name.contains(part));
  }

  private static Map<String, float[]> projector(long seed) {
    var values = new TreeMap<String, float[]>();
    try (Backend backend = Backends.open("nd4j", new BackendProvider.Options(1, 0));
        var scratch = backend.arena("scratch");
        OpenModel model =
            OpenModel.of(without("mm_projector"), CONFIG, backend, DType.F32, Set.of(), seed)) {
      List<Parameter> fresh =
          model.decoder().parameters().stream().filter(p -> p.role() == Role.PROJECTOR).toList();
      assertThat(model.initialised())
          .containsExactlyInAnyOrderElementsOf(fresh.stream().map(Parameter::name).toList())
          .hasSize(4);
      fresh.forEach(p -> values.put(p.name(), backend.toFloats(scratch, p.data())));
    }
    return values;
  }

  @Test
  void itStartsNormalWithTheConfigsRangeAndItsBiasesAtZero() {
    projector(7)
        .forEach(
            (name, values) -> {
              double squares = 0;
              for (float x : values) {
                squares += x * x;
              }
              double wanted = name.endsWith("bias") ? 0 : CONFIG.initializerRange();
              assertThat(Math.sqrt(squares / values.length))
                  .as("%s, seed 7", name)
                  .isCloseTo(wanted, within(0.15 * wanted));
            });
  }

  @Test
  void theSeedAloneDecides() {
    Map<String, float[]> first = projector(7);
    assertThat(projector(7)).usingRecursiveComparison().isEqualTo(first);
    String weight = "model.visual.mm_projector.0.weight";
    assertThat(projector(8).get(weight)).isNotEqualTo(first.get(weight));
  }

  @Test
  void noOtherTensorMayBeMissing() {
    try (Backend backend = Backends.open("nd4j", new BackendProvider.Options(1, 0))) {
      assertThatThrownBy(
              () ->
                  OpenModel.of(
                      without("layers.1.block_sparse_moe.gate"),
                      CONFIG,
                      backend,
                      DType.F32,
                      Set.of(),
                      7))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("model.layers.1.block_sparse_moe.gate.weight")
          .hasMessageContaining("a delta without its base?");
    }
  }
}
