package io.moextend.text;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/**
 * Writes a text with images as ids, as LLaVA and MoIIE do: every {@code <image>} is one {@link
 * #PLACE} until it is widened to one slot per patch, with nothing before or behind. Any number of
 * threads may encode.
 *
 * @see <a href="https://arxiv.org/abs/2508.09779">MoIIE</a>, published bunny/util/mm_utils.py
 */
public final class ImagePlaces {
  /** How a text marks the place of an image. */
  public static final String MARK = "<image>";

  /** Id of a place that is not widened yet; no vocabulary has it. */
  public static final int PLACE = -200;

  /** What stands in the slots; every vocabulary has it, and features overwrite its embedding. */
  private static final int SLOT = 0;

  private final Tokenizer tokenizer;
  private final int[] start;
  private final int slots;

  /**
   * @param slots patches that the model makes of one image
   * @throws TextException if the tokenizer does not go by its file, or adds more than a start token
   */
  public ImagePlaces(Tokenizer tokenizer, int slots) {
    if (slots < 1) {
      throw new TextException(
          "an image of " + slots + " slots; it needs one per patch, at least 1");
    }
    if (tokenizer.prefix() != SegmentPrefix.AS_FILE) {
      throw new TextException(
          "%s is read with the prefix rule %s; models of this kind take it as its file says, open"
                  .formatted(tokenizer.file(), tokenizer.prefix())
              + " it as-file");
    }
    this.tokenizer = tokenizer;
    this.start = tokenizer.start();
    this.slots = slots;
  }

  /** Patches of one image. */
  public int slots() {
    return slots;
  }

  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /** Whether every text begins with the start token. */
  public boolean starts() {
    return start.length > 0;
  }

  /**
   * Ids of one text: the start token where the model has one, then the words between the marks,
   * each run tokenised on its own, and one {@link #PLACE} for each mark.
   */
  public int[] encode(String text) {
    TokenBuffer out = new TokenBuffer();
    out.addAll(start);
    int from = 0;
    for (int mark = text.indexOf(MARK); mark >= 0; mark = text.indexOf(MARK, from)) {
      out.addAll(tokenizer.encode(text.substring(from, mark)));
      out.add(PLACE);
      from = mark + MARK.length();
    }
    out.addAll(tokenizer.encode(text.substring(from)));
    return out.toArray();
  }

  /**
   * Widens every place to its slots.
   *
   * @param ids with as many places as there are images
   * @param paths of the images, in order
   * @throws TextException if places and images are not as many
   */
  public EncodedText widen(int[] ids, List<String> paths) {
    TokenBuffer out = new TokenBuffer();
    List<ImageSpan> spans = new ArrayList<>();
    Iterator<String> path = paths.iterator();
    int places = 0;
    for (int id : ids) {
      if (id != PLACE) {
        out.add(id);
        continue;
      }
      places++;
      if (path.hasNext()) {
        spans.add(new ImageSpan(out.length(), slots, path.next()));
        out.repeat(SLOT, slots);
      }
    }
    if (places != paths.size()) {
      throw new TextException(
          "the text has %d %s and there are %d images; make them as many"
              .formatted(places, MARK, paths.size()));
    }
    return new EncodedText(out.toArray(), spans);
  }

  /**
   * Widens labels beside their ids; nothing is learnt at an image.
   *
   * @param labels one for each of the ids before widening
   * @param ignored label of a position that is not learnt
   */
  public int[] widen(int[] ids, int[] labels, int ignored) {
    TokenBuffer out = new TokenBuffer();
    for (int t = 0; t < ids.length; t++) {
      if (ids[t] == PLACE) {
        out.repeat(ignored, slots);
      } else {
        out.add(labels[t]);
      }
    }
    return out.toArray();
  }
}
