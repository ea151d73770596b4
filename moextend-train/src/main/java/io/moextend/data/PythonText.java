package io.moextend.data;

import java.util.ArrayList;
import java.util.List;

/** Text as the published scripts take it apart: by what Python calls white space. */
final class PythonText {
  private PythonText() {}

  private static boolean isSpace(int character) {
    return Character.isWhitespace(character)
        || Character.isSpaceChar(character)
        || character == 0x85;
  }

  static String strip(String text) {
    int from = 0;
    int to = text.length();
    while (from < to && isSpace(text.charAt(from))) {
      from++;
    }
    while (to > from && isSpace(text.charAt(to - 1))) {
      to--;
    }
    return text.substring(from, to);
  }

  /** How many words white space sets apart. */
  static int words(String text) {
    int words = 0;
    boolean inside = false;
    for (int i = 0; i < text.length(); i++) {
      boolean space = isSpace(text.charAt(i));
      words += !space && !inside ? 1 : 0;
      inside = !space;
    }
    return words;
  }

  /** The pieces between the occurrences of a sign, empty ones too; at least one. */
  static List<String> split(String text, String sign) {
    List<String> pieces = new ArrayList<>();
    int from = 0;
    for (int at = text.indexOf(sign); at >= 0; at = text.indexOf(sign, from)) {
      pieces.add(text.substring(from, at));
      from = at + sign.length();
    }
    pieces.add(text.substring(from));
    return pieces;
  }
}
