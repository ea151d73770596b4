package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import io.moextend.array.DType;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.checkpoint.FrozenProof.Print;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/** Models before and after convert-moe, as their folders say. */
record Converted(Path folder) {
  static final JsonMapper JSON = JsonMapper.builder().build();
  private static final Map<String, String> TYPES = Map.of("float32", "F32", "bfloat16", "BF16");

  /** Runs the command, which must succeed. */
  static Converted by(String architecture, Path model, Path output, Object... more) {
    Ran ran = run(architecture, model, output, more);
    assertThat(ran.code()).as(ran.out() + ran.err()).isZero();
    return new Converted(output);
  }

  static Ran run(String architecture, Path model, Path output, Object... more) {
    var args = new ArrayList<Object>(List.of("convert-moe", "--architecture", architecture));
    args.addAll(List.of("--model", model, "--output", output));
    args.addAll(List.of(more));
    return Ran.moextend(args.toArray());
  }

  static Path golden(String name) {
    return Golden.path("moiie/convert_moe/" + name);
  }

  /** A source of the golden folder, to be changed. */
  static Path source(String name, Path to) {
    Workspace.copy(golden(name), to);
    return to;
  }

  /** Gives every expert and router of a model in one file bytes of its own. */
  void train() {
    var random = new Random(7);
    rewrite(
        folder,
        tensor -> {
          String name = tensor.name();
          if (!name.contains("expert") && !name.matches(".*mlp\\.gate(_vis)?\\.weight")) {
            return List.of(tensor);
          }
          float[] values = tensor.floats();
          for (int i = 0; i < values.length; i++) {
            values[i] = random.nextFloat();
          }
          return List.of(TensorData.of(name, tensor.dtype(), tensor.shape(), values));
        });
  }

  /** Puts more tensors into a model in one file. */
  static void add(Path folder, List<String> names) {
    rewrite(
        folder,
        tensor ->
            tensor.name().equals("lm_head.weight")
                ? Stream.concat(Stream.of(tensor), names.stream().map(tensor::named)).toList()
                : List.of(tensor));
  }

  /** Writes a model in one file again, with other tensors for each that it had. */
  static void rewrite(Path folder, Function<TensorData, List<TensorData>> change) {
    Path file = folder.resolve("model.safetensors");
    Path changed = folder.resolve("changed.part");
    try {
      try (WeightSource weights = CheckpointFolder.open(file)) {
        SafetensorsWriter.writeFile(
            changed,
            weights.names().stream()
                .flatMap(name -> change.apply(weights.tensor(name)).stream())
                .map(TensorStream::of)
                .toList());
      }
      Files.move(changed, file, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  SortedMap<String, Print> tensors() {
    try (WeightSource weights = CheckpointFolder.open(folder)) {
      return FrozenProof.of(weights).tensors();
    }
  }

  /** What the published converter wrote. */
  static SortedMap<String, Print> published(String name) {
    var tensors = new TreeMap<String, Print>();
    for (var field : json(golden(name).resolve("tensors.json")).properties()) {
      JsonNode print = field.getValue();
      tensors.put(
          field.getKey(),
          new Print(
              DType.valueOf(TYPES.get(print.get("dtype").textValue())),
              StreamSupport.stream(print.get("shape").spliterator(), false)
                  .map(JsonNode::longValue)
                  .toList(),
              print.get("sha256").textValue()));
    }
    return tensors;
  }

  ObjectNode config() {
    return config(folder);
  }

  static ObjectNode config(Path folder) {
    return json(folder.resolve("config.json"));
  }

  JsonNode receipt() {
    return json(folder.resolve("conversion.json"));
  }

  List<String> files() {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static ObjectNode json(Path file) {
    try {
      return (ObjectNode) JSON.readTree(file.toFile());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
