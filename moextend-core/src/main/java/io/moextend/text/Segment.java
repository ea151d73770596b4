package io.moextend.text;

/** A run of one text: words to be looked up, or ids that stand as they are. */
sealed interface Segment {
  record Words(String text) implements Segment {}

  @SuppressWarnings("ArrayRecordComponent") // made and read within one call
  record Ids(int[] ids) implements Segment {}
}
