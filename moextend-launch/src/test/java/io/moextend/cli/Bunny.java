package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A folder with tiny text models, a tower, conversations about images, and runs on them. */
record Bunny(Path folder) {
  static final JsonMapper JSON = JsonMapper.builder().build();
  static final Path TOWER = Golden.path("moiie/siglip_tiny");
  static final Path IMAGES = Golden.path("moiie/preprocessing/images");
  private static final int VOCABULARY = 480;
  private static final int POSITIONS = 512;

  /** The five golden conversations, three with an image; of the last nothing is learnt. */
  Path samples() {
    return folder.resolve("data/train.json");
  }

  static Bunny in(Path folder) {
    var bunny = new Bunny(folder);
    Workspace.write(bunny.samples(), Workspace.read(Golden.path("moiie/preprocessing/train.json")));
    return bunny;
  }

  /** A random dense model of a family, "phi3" or "llama", that sees nothing. */
  Path text(String family) {
    ObjectNode config = tree(Golden.path("hf/hf_" + family + "/config.json"));
    config.put("vocab_size", VOCABULARY).put("max_position_embeddings", POSITIONS);
    config.remove("original_max_position_embeddings");
    Path shape = folder.resolve(family + ".json");
    Workspace.write(shape, config.toString());
    Path model = folder.resolve(family);
    Path tokenizer =
        Golden.path("moiie/tokenizers/" + (family.equals("phi3") ? "tok_phi3" : "tok_llama3"));
    ran("random-model", "--config", shape, "--tokenizer", tokenizer, "--output", model);
    return model;
  }

  /** The same with experts in its second layer. */
  Path moiie(Path dense) {
    Path model = dense.resolveSibling("moiie-" + dense.getFileName());
    ran("convert-moe", "--architecture", "moiie", "--model", dense, "--output", model);
    return model;
  }

  /** The words of a run, settings as typed after --set. */
  Object[] train(String stage, Path base, Path output, String... settings) {
    Path config = folder.resolve("run.yaml");
    Workspace.write(
        config,
        """
        model: {base: %s}
        data: {train_files: [%s], image_root: %s, max_length: 256}
        optimizer: {learning_rate: 1.0e-2}
        training: {per_device_train_batch_size: 2, max_steps: 3, dtype: f32, backend: cpu, threads: 1}
        checkpoints: {output_dir: %s, save_steps: 0}
        """
            .formatted(base, samples(), IMAGES, output));
    var words = new ArrayList<Object>(List.of("train", "--quiet", "--stage", stage));
    words.addAll(List.of("--config", config));
    for (String setting : settings) {
      words.addAll(List.of("--set", setting));
    }
    return words.toArray();
  }

  static Ran ran(Object... words) {
    Ran ran = Ran.moextend(words);
    assertThat(ran.code()).as(ran.err()).isZero();
    return ran;
  }

  static ObjectNode tree(Path file) {
    try {
      return (ObjectNode) JSON.readTree(file.toFile());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
