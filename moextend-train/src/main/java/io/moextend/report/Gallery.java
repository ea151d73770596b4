package io.moextend.report;

import java.util.Base64;
import java.util.List;

/** Pictures side by side, carried inside the file. */
public record Gallery(String caption, List<Picture> pictures) implements Block {
  /**
   * @param dataUri the picture itself
   * @param alternative what it shows, for who does not see it
   * @param caption what is said below it
   */
  public record Picture(String dataUri, String alternative, String caption) {
    public Picture {
      if (!dataUri.startsWith("data:image/")) {
        throw new IllegalArgumentException("a report carries its pictures: data:image/… only");
      }
    }

    public static Picture png(byte[] bytes, String alternative, String caption) {
      return encoded("png", bytes, alternative, caption);
    }

    public static Picture jpeg(byte[] bytes, String alternative, String caption) {
      return encoded("jpeg", bytes, alternative, caption);
    }

    private static Picture encoded(String type, byte[] bytes, String alternative, String caption) {
      String data = Base64.getEncoder().encodeToString(bytes);
      return new Picture("data:image/" + type + ";base64," + data, alternative, caption);
    }
  }

  public Gallery {
    pictures = List.copyOf(pictures);
  }
}
