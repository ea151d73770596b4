package io.moextend.train;

import java.util.List;

/** The least that a run of a decoder has to be told. */
final class LeastConfig {
  static final String LEAST =
      """
      model:
        base: models/tiny
      data:
        train_files: [a.json]
      optimizer:
        learning_rate: 1e-3
      training:
        per_device_train_batch_size: 2
      checkpoints:
        output_dir: out
      """;

  private LeastConfig() {}

  static TrainConfig parse(String text, String... overrides) {
    return TrainConfig.parse("run.yaml", text, List.of(overrides));
  }
}
