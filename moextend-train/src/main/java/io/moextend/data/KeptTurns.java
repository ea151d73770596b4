package io.moextend.data;

/** How much of a conversation is trained on. */
public enum KeptTurns {
  ALL,
  /** The first question and its answer: what the published preparation keeps. */
  FIRST_ONLY
}
