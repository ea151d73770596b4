package io.moextend.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import io.moextend.train.TrainConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A folder with tiny text models of three families, samples, and runs that add adapters. */
record AdaptedRuns(Path folder) {
  private static final int VOCABULARY = 480;
  private static final int POSITIONS = 128;

  static AdaptedRuns in(Path folder) {
    var all = new AdaptedRuns(folder);
    all.write(8);
    return all;
  }

  /** Makes the samples be so many. */
  void write(int count) {
    var samples = Bunny.JSON.createArrayNode();
    for (int i = 0; i < count; i++) {
      ObjectNode sample = samples.addObject();
      sample.put("id", String.valueOf(i));
      var turns = sample.putArray("conversations");
      turns.addObject().put("from", "human").put("value", "the scene in " + i + "?");
      turns.addObject().put("from", "gpt").put("value", "a tin on the hat " + "no".repeat(i % 3));
    }
    Workspace.write(folder.resolve("data/train.json"), samples.toString());
  }

  /** A random model of "mixtral", "llama" or "phi3". */
  Path base(String family) {
    ObjectNode config = Bunny.tree(Golden.path("hf/hf_" + family + "/config.json"));
    config.put("vocab_size", VOCABULARY).put("max_position_embeddings", POSITIONS);
    config.remove("original_max_position_embeddings");
    Path shape = folder.resolve(family + ".json");
    Workspace.write(shape, config.toString());
    Path tokenizer =
        switch (family) {
          case "phi3" -> Golden.path("moiie/tokenizers/tok_phi3");
          case "llama" -> Golden.path("moiie/tokenizers/tok_llama3");
          default -> Golden.path("moextend/tokenizer_tiny");
        };
    Path model = folder.resolve(family);
    Bunny.ran("random-model", "--config", shape, "--tokenizer", tokenizer, "--output", model);
    return model;
  }

  /** A configuration's file, without what is typed after --set. */
  Path config(Path base, Path output) {
    Path config = folder.resolve("run.yaml");
    Workspace.write(
        config,
        """
        model: {base: %s}
        adapter: {experts: 3, rank: 2}
        data: {train_files: [%s], max_length: 96}
        optimizer: {learning_rate: 1.0e-2}
        training: {per_device_train_batch_size: 2, max_steps: 4, dtype: f32, backend: cpu, threads: 1}
        checkpoints: {output_dir: %s, save_steps: 0}
        """
            .formatted(base, folder.resolve("data/train.json"), output));
    return config;
  }

  TrainConfig read(Path base, Path output, String... settings) {
    return TrainConfig.read(config(base, output), List.of(settings));
  }

  /** The words of a run. */
  Object[] train(String stage, Path base, Path output, String... settings) {
    var words = new ArrayList<Object>(List.of("train", "--quiet", "--stage", stage));
    words.addAll(List.of("--config", config(base, output)));
    for (String setting : settings) {
      words.addAll(List.of("--set", setting));
    }
    return words.toArray();
  }
}
