package io.moextend.text;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/**
 * Writes a text with images as ids: each image is {@code <image>}, one slot per patch, {@code
 * </image>}. The slots' embeddings are overwritten by the image's features, so what stands in them
 * never reaches the model.
 *
 * @see <a href="https://arxiv.org/abs/2408.03511">MoExtend</a>, published src/tokenization.py
 */
public final class ImageTokens {
  /** What stands in the slots. */
  public enum SlotContent {
    /** Padding slots alone; the path travels beside, in {@link ImageSpan#path}. */
    PADS,
    /** The published format: the path's UTF-8 bytes as the first ids, then padding slots. */
    PATH_BYTES
  }

  private final Tokenizer tokenizer;
  private final int imageStart;
  private final int slots;
  private final SlotContent content;

  /**
   * @param imageStart id of {@code <image>}; {@code </image>} and the padding slot follow it
   * @param slots patches of one image
   * @throws TextException if tokenizer.json uses one of the three ids for something else
   */
  public ImageTokens(Tokenizer tokenizer, int imageStart, int slots, SlotContent content) {
    if (slots < 1) {
      throw new TextException(
          "an image of " + slots + " slots; it needs one per patch, at least 1");
    }
    this.tokenizer = tokenizer;
    this.imageStart = imageStart;
    this.slots = slots;
    this.content = content;
    boolean behindAll = imageStart >= tokenizer.vocabularySize();
    if (!behindAll && tokenizer.added("<image>") != imageStart) {
      throw new TextException(
          "%s has %d ids and no <image> at %d; set image_start_id to %s"
              .formatted(
                  tokenizer.file(),
                  tokenizer.vocabularySize(),
                  imageStart,
                  tokenizer.added("<image>") >= 0
                      ? Integer.toString(tokenizer.added("<image>"))
                      : tokenizer.vocabularySize() + " or more"));
    }
  }

  /** Patches of one image. */
  public int slots() {
    return slots;
  }

  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /**
   * Ids of one text.
   *
   * @throws TextException if a path does not fit into the slots ({@link SlotContent#PATH_BYTES}),
   *     or the words themselves hold an image token
   */
  public EncodedText encode(List<Part> parts) {
    List<Segment> segments = new ArrayList<>();
    List<String> paths = new ArrayList<>();
    for (Part part : parts) {
      switch (part) {
        case Part.Words(String text) -> segments.add(new Segment.Words(text));
        case Part.Image(String path) -> {
          segments.add(new Segment.Ids(span(path)));
          paths.add(path);
        }
      }
    }
    int[] ids = tokenizer.encode(segments);
    return new EncodedText(ids, spans(ids, paths));
  }

  private int[] span(String path) {
    TokenBuffer out = new TokenBuffer();
    out.add(imageStart);
    if (content == SlotContent.PATH_BYTES) {
      // the dummy prefix of legacy tokenizers reaches into the path
      String written = tokenizer.prefix() == SegmentPrefix.LEGACY ? "\u2581" + path : path;
      byte[] bytes = written.getBytes(StandardCharsets.UTF_8);
      if (bytes.length > slots - 2) {
        throw new TextException(
            "the image path %s has %d bytes, and %d slots take at most %d; shorten it, or fill the"
                    .formatted(path, bytes.length, slots, slots - 2)
                + " slots with pads");
      }
      for (byte b : bytes) {
        out.add(Byte.toUnsignedInt(b));
      }
    }
    out.repeat(imageStart + 2, slots + 1 - out.length());
    out.add(imageStart + 1);
    return out.toArray();
  }

  private List<ImageSpan> spans(int[] ids, List<String> paths) {
    List<ImageSpan> spans = new ArrayList<>();
    Iterator<String> path = paths.iterator();
    int position = 0;
    while (position < ids.length) {
      int kind = ids[position] - imageStart;
      boolean whole =
          kind == 0
              && path.hasNext()
              && position + slots + 1 < ids.length
              && ids[position + slots + 1] == imageStart + 1;
      if (whole) {
        spans.add(new ImageSpan(position + 1, slots, path.next()));
        position += slots + 2;
      } else if (kind >= 0 && kind <= 2) {
        throw new TextException(
            "the words hold the image token %s themselves; write it otherwise"
                .formatted(List.of("<image>", "</image>", "<imgpad>").get(kind)));
      } else {
        position++;
      }
    }
    return spans;
  }
}
