package io.moextend.stage;

import com.fasterxml.jackson.annotation.JsonProperty;

/**
 * Which experts of a token were counted. The two modes give different layers and donors on the same
 * model, so every file and report made from a census says its mode.
 */
public enum CountingMode {
  /** The experts the router chose: those with the largest probabilities. */
  @JsonProperty("paper")
  PAPER("paper"),

  /**
   * The experts with the SMALLEST probabilities, as many as the router chooses: what the published
   * expert_distribution.py counts, because it sorts upwards.
   */
  @JsonProperty("as-published")
  AS_PUBLISHED("as-published");

  private final String label;

  CountingMode(String label) {
    this.label = label;
  }

  /** The word for it in files and on the command line. */
  public String label() {
    return label;
  }
}
