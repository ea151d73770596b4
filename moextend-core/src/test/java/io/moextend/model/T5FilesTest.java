package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.HeldTensors;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.T5Config;
import io.moextend.nn.Sites;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A T5 and the file it is read from. */
class T5FilesTest {
  private static final String BASE = "mov/t5_base";

  @TempDir Path folder;

  @Test
  void aModelIsWrittenBackByteForByte() throws IOException {
    Path file = Golden.path(BASE + "/model.safetensors");
    try (var c = new T5Case("cpu", BASE, DType.F32, ParameterChoice.NONE, (b, a) -> Sites.NONE)) {
      var tensors = new ArrayList<TensorStream>();
      c.model.visit(
          p ->
              tensors.add(
                  TensorStream.of(
                      TensorData.of(p.name(), p.shape(), c.backend.toFloats(c.arena, p.data())))));
      Path written = folder.resolve("written");
      Path copied = folder.resolve("copied");
      SafetensorsWriter.writeFile(written, tensors);
      try (var was = SafetensorsFile.open(file)) {
        SafetensorsWriter.writeFile(copied, TensorStream.all(was));
      }
      assertThat(Files.mismatch(written, copied)).isEqualTo(-1);
    }
  }

  @Test
  void frozenWeightsStayInTheMappedFile() {
    try (Backend backend = Backends.open("cpu", new Options(1, 0))) {
      long before = backend.memory().liveBytes();
      try (var c =
          OpenT5.of(
              SafetensorsFile.open(Golden.path(BASE + "/model.safetensors")),
              config(),
              backend,
              DType.F32,
              ParameterChoice.NONE,
              Sites.NONE)) {
        assertThat(backend.memory().liveBytes()).isEqualTo(before);
        assertThat(c.model().parameters()).noneMatch(Parameter::requiresGrad);
      }
    }
  }

  @Test
  void theHeadIsTheFilesOwnWhereItHasOneAndElseTheEmbedding() {
    try (Backend backend = Backends.open("cpu", new Options(1, 0))) {
      T5Config tied = config().withHead(true);
      try (var c = opened(backend, held("lm_head.weight", false), tied)) {
        assertThat(c.model().config().tiedHead()).isFalse();
      }
      try (var c = opened(backend, held("lm_head.weight", true), tied)) {
        assertThat(c.model().config().tiedHead()).isTrue();
        assertThat(c.model().units().getLast()).hasSize(1);
      }
      assertThatThrownBy(() -> opened(backend, held("lm_head.weight", true), config()))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("lm_head.weight");
    }
  }

  private static T5Config config() {
    return HuggingFaceConfig.read(Golden.path(BASE)).t5();
  }

  @SuppressWarnings("MustBeClosedChecker") // the caller closes it
  private static OpenT5 opened(Backend backend, HeldTensors source, T5Config config) {
    return OpenT5.of(source, config, backend, DType.F32, ParameterChoice.NONE, Sites.NONE);
  }

  /** The base's tensors, with the copies of the embedding that old files have. */
  private static HeldTensors held(String name, boolean without) {
    var tensors = new TreeMap<String, TensorData>();
    try (var file = SafetensorsFile.open(Golden.path(BASE + "/model.safetensors"))) {
      for (String tensor : file.names()) {
        TensorData data = file.tensor(tensor);
        tensors.put(tensor, TensorData.of(tensor, data.shape(), data.floats()));
      }
    }
    TensorData shared = tensors.get("shared.weight");
    tensors.put("encoder.embed_tokens.weight", shared.named("encoder.embed_tokens.weight"));
    tensors.put("decoder.embed_tokens.weight", shared.named("decoder.embed_tokens.weight"));
    if (without) {
      tensors.remove(name);
    }
    return new HeldTensors(tensors);
  }
}
