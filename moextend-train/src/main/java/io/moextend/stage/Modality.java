package io.moextend.stage;

/** What a token stands for: a piece of text, or a patch of a picture. */
public enum Modality {
  TEXT,
  IMAGE
}
