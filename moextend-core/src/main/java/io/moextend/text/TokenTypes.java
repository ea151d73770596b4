package io.moextend.text;

/**
 * Which tokens of a batch are patches of images, in plain host memory.
 *
 * @param rows samples
 * @param length positions of a row
 * @param types [rows, length], 1 at image patches, 0 at words and at padding
 * @see <a href="https://arxiv.org/abs/2508.09779">MoIIE</a>; the types are CogVLM's
 */
@SuppressWarnings("ArrayRecordComponent") // compared nowhere; handed over, not shared
public record TokenTypes(int rows, int length, byte[] types) {
  public TokenTypes {
    if (types.length != (long) rows * length) {
      throw new IllegalArgumentException(
          "%d token types for [%d, %d]".formatted(types.length, rows, length));
    }
  }

  /**
   * @param imagePositions of the rows · length positions, those of image patches
   */
  public static TokenTypes of(int rows, int length, int[] imagePositions) {
    byte[] types = new byte[Math.multiplyExact(rows, length)];
    for (int position : imagePositions) {
      types[position] = 1;
    }
    return new TokenTypes(rows, length, types);
  }

  /**
   * The tokens that MoIIE's vision router takes: image patches whose right neighbour is one too. So
   * the last patch of a run is read as text, two images side by side are one run, and the last
   * token of a row is never a vision token; the published weights were trained so.
   *
   * @return [rows, length], 1 at vision tokens
   */
  public byte[] visionMask() {
    byte[] mask = new byte[types.length];
    for (int row = 0; row < rows; row++) {
      for (int t = 0; t + 1 < length; t++) {
        int at = row * length + t;
        mask[at] = (byte) (types[at] == 1 && types[at + 1] == 1 ? 1 : 0);
      }
    }
    return mask;
  }
}
