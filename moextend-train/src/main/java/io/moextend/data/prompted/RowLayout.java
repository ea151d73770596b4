package io.moextend.data.prompted;

import io.moextend.data.DataException;
import java.util.ArrayList;
import java.util.List;

/**
 * How examples become rows.
 *
 * @param inputLength most ids of a row's inputs
 * @param targetLength most ids of a row's targets
 */
public record RowLayout(Kind kind, int inputLength, int targetLength) {
  /** One example or several in a row, and how far rows are padded. */
  public enum Kind {
    /** As many examples as fit, one behind the other; padded to the full lengths. */
    PACKED,
    /** One example; padded to the longest of the batch. */
    LONGEST,
    /** One example; padded to the full lengths. */
    FULL
  }

  /** A row's examples have the numbers 1 to 255, one byte on the device. */
  static final int MOST_SEGMENTS = 255;

  public RowLayout {
    if (inputLength < 1 || targetLength < 1) {
      throw new DataException(
          "rows of %d inputs and %d targets: both must be at least 1"
              .formatted(inputLength, targetLength));
    }
  }

  /** Examples that are packed with each other: as many as the longer length. */
  int block() {
    return Math.max(inputLength, targetLength);
  }

  /**
   * Rows of a block of examples in their order. A packed row takes the next example while both its
   * inputs and its targets fit, and is closed by the first that does not, and by the block's end.
   */
  public List<List<TokenPair>> rows(List<TokenPair> block) {
    var rows = new ArrayList<List<TokenPair>>();
    var open = new ArrayList<TokenPair>();
    int inputs = 0;
    int targets = 0;
    for (TokenPair pair : block) {
      boolean fits =
          kind == Kind.PACKED
              && open.size() < MOST_SEGMENTS
              && inputs + pair.inputs().length <= inputLength
              && targets + pair.targets().length <= targetLength;
      if (!fits && !open.isEmpty()) {
        rows.add(List.copyOf(open));
        open.clear();
        inputs = 0;
        targets = 0;
      }
      open.add(pair);
      inputs += pair.inputs().length;
      targets += pair.targets().length;
    }
    if (!open.isEmpty()) {
      rows.add(List.copyOf(open));
    }
    return rows;
  }
}
