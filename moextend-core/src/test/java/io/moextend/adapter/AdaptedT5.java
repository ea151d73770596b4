package io.moextend.adapter;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.moextend.Golden;
import io.moextend.array.DType;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.TensorData;
import io.moextend.model.OpenAdapters;
import io.moextend.model.ParameterChoice;
import io.moextend.model.T5Case;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** A reference case of a T5 with adapters, which alone are trained. */
final class AdaptedT5 implements AutoCloseable {
  final AdapterConfig config;
  final T5Case t5;
  private final List<OpenAdapters> made = new ArrayList<>();

  AdaptedT5(String backend, String name) {
    this(backend, name, DType.F32);
  }

  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  AdaptedT5(String backend, String name, DType dtype) {
    Path folder = Golden.path("mov/" + name);
    config = config(folder);
    t5 =
        new T5Case(
            backend,
            "mov/" + name,
            dtype,
            ParameterChoice.NONE,
            (b, arena) -> {
              var file = SafetensorsFile.open(folder.resolve("adapter.safetensors"));
              var source = new TurnedTensors(file);
              made.add(OpenAdapters.of(config, source, b, dtype, ParameterChoice.ALL, 0));
              return made.getFirst();
            });
    made.getFirst().requireAllUsed();
  }

  /** What a case's config.json says of its adapters. */
  static AdapterConfig config(Path folder) {
    try {
      JsonNode json = new ObjectMapper().readTree(folder.resolve("config.json").toFile());
      JsonNode adapter = json.path("adapter");
      var method = AdapterMethod.valueOf(adapter.path("method").asText().toUpperCase(Locale.ROOT));
      int experts = adapter.path("experts").asInt();
      var config = AdapterConfig.of(method, experts, adapter.path("rank").asInt());
      int topK = adapter.path("top_k").asInt();
      return topK == 0 ? config : config.choosing(topK);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Numbers in memory's order as a file has them. */
  float[] asStored(String name, float[] values) {
    long[] shape =
        t5.model.parameters().stream()
            .filter(p -> p.name().equals(name))
            .findFirst()
            .orElseThrow()
            .shape();
    return TurnedTensors.turned(TensorData.of(name, shape, values)).floats();
  }

  Map<String, float[]> asStored(Map<String, float[]> gradients) {
    var stored = new TreeMap<String, float[]>();
    gradients.forEach((name, d) -> stored.put(name, asStored(name, d)));
    return stored;
  }

  @Override
  public void close() {
    made.forEach(OpenAdapters::close);
    t5.close();
  }
}
