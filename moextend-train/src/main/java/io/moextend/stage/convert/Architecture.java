package io.moextend.stage.convert;

import java.util.Locale;

/** What stands between two attentions of a model, in the words of the command line. */
public enum Architecture {
  /** One network in every layer. */
  DENSE,
  /** Two routers over overlapping windows of one list of experts. */
  MOIIE,
  /** One router over all experts. */
  VANILLA_MOE,
  /** One expert for image patches and one for text, no router. */
  MODALITY_MOE,
  /** A list of experts and a router for each of the two. */
  ROUTED_MODALITY_MOE;

  /** As it is typed: {@code vanilla-moe}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
