package io.moextend.moe;

/** Which of a pass' tokens something is about. */
public enum TokenGroup {
  ALL("aux_loss"),
  /** Image patches, but for the last of each run of them. */
  VISION("aux_loss_vis"),
  /** All others, padding too. */
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
