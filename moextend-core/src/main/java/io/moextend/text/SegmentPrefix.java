package io.moextend.text;

/**
 * What a text starts with before its pieces are looked up. A segment is a run of words between
 * added tokens, such as an image span.
 *
 * @see <a href="https://arxiv.org/abs/2408.03511">MoExtend</a>, published src/tokenization.py: the
 *     two values of "legacy" in tokenizer_config.json
 */
public enum SegmentPrefix {
  /** "legacy": true. One space before the text and one more before every segment of it. */
  LEGACY,
  /**
   * "legacy": false. One space before the text and none inside; dropped where the text starts with
   * an added token.
   */
  FIRST_ONLY,
  /** Whatever tokenizer.json itself asks for: for tokenizers that know no "legacy". */
  AS_FILE
}
