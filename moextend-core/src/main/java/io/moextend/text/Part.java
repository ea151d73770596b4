package io.moextend.text;

/** A piece of a turn: words, or the place of an image among them. */
public sealed interface Part {
  record Words(String text) implements Part {}

  /**
   * @param path of the file as the dataset writes it
   */
  record Image(String path) implements Part {
    public Image {
      if (path.isEmpty()) {
        throw new TextException("an image has an empty path; name a file");
      }
    }
  }
}
