package io.moextend.config;

/** What a published config.json says of a model's shape, by kind of architecture. */
public sealed interface ModelConfig permits DecoderConfig, T5Config, TowerConfig {
  /** "mixtral", "llama", …: config.json's {@code model_type}. */
  String modelType();
}
