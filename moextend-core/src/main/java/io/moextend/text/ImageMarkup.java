package io.moextend.text;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/** How datasets write images into text. */
public final class ImageMarkup {
  private static final String OPEN = "<image>";
  private static final String CLOSE = "</image>";

  private ImageMarkup() {}

  /** Whether a text names a file in place: {@code <image>path</image>}. */
  public static boolean namesFiles(String text) {
    int open = text.indexOf(OPEN);
    return open >= 0 && text.indexOf(CLOSE, open) >= 0;
  }

  /**
   * The published format, {@code <image>path</image>}.
   *
   * @throws TextException if a tag lacks its other half
   */
  public static List<Part> paths(String text) {
    List<Part> parts = new ArrayList<>();
    int from = 0;
    for (int open = text.indexOf(OPEN); open >= 0; open = text.indexOf(OPEN, from)) {
      int begin = open + OPEN.length();
      int close = text.indexOf(CLOSE, begin);
      int next = text.indexOf(OPEN, begin);
      if (close < 0 || (next >= 0 && next < close)) {
        throw new TextException(
            "an <image> at character %d has no </image>; write <image>path</image>"
                .formatted(open));
      }
      addWords(text.substring(from, open), parts);
      parts.add(new Part.Image(text.substring(begin, close)));
      from = close + CLOSE.length();
    }
    addWords(text.substring(from), parts);
    return parts;
  }

  /**
   * LLaVA's format: {@code <image>} marks the place of the next image of a list.
   *
   * @param paths taken one by one; those of later turns stay
   * @throws TextException if the text has more places than there are images
   */
  public static List<Part> placeholders(String text, Iterator<String> paths) {
    List<Part> parts = new ArrayList<>();
    int from = 0;
    for (int open = text.indexOf(OPEN); open >= 0; open = text.indexOf(OPEN, from)) {
      if (!paths.hasNext()) {
        throw new TextException(
            "there are more <image> places in the text than images; take places out, or name their"
                + " files in \"image\"");
      }
      addWords(text.substring(from, open), parts);
      parts.add(new Part.Image(paths.next()));
      from = open + OPEN.length();
    }
    addWords(text.substring(from), parts);
    return parts;
  }

  private static void addWords(String words, List<Part> parts) {
    if (!words.isEmpty()) {
      parts.add(new Part.Words(words));
    }
  }
}
