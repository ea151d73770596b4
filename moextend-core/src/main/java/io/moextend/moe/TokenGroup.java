package io.moextend.moe;

import com.fasterxml.jackson.annotation.JsonProperty;

/** Which of a pass' tokens something is about. */
public enum TokenGroup {
  @JsonProperty("all")
  ALL("aux_loss"),
  /** Image patches, but for the last of each run of them. */
  @JsonProperty("vision")
  VISION("aux_loss_vis"),
  /** All others, padding too. */
  @JsonProperty("text")
  TEXT("aux_loss_lan");

  private final String loss;

  TokenGroup(String loss) {
    this.loss = loss;
  }

  /** What the published code calls these tokens' load-balancing loss. */
  public String loss() {
    return loss;
  }
}
