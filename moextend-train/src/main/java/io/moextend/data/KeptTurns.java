package io.moextend.data;

/** How much of a conversation is trained on. */
public enum KeptTurns {
  ALL,
  /**
   * All, and one answer may stand before the first question. It is part of the sample and of no
   * row: what the published MoIIE does.
   */
  ALL_BEHIND_AN_ANSWER,
  /** The first question and its answer: what the published preparation keeps. */
  FIRST_ONLY
}
