package io.moextend.text;

import java.util.Arrays;

/** Ids that grow at the end. For one thread. */
public final class TokenBuffer {
  private int[] ids;
  private int length;

  public TokenBuffer() {
    ids = new int[64];
  }

  public void add(int id) {
    room(1);
    ids[length++] = id;
  }

  public void addAll(int[] more) {
    room(more.length);
    System.arraycopy(more, 0, ids, length, more.length);
    length += more.length;
  }

  /** Appends one id {@code count} times. */
  public void repeat(int id, int count) {
    room(count);
    Arrays.fill(ids, length, length + count, id);
    length += count;
  }

  public int length() {
    return length;
  }

  public int[] toArray() {
    return Arrays.copyOf(ids, length);
  }

  private void room(int more) {
    int wanted = Math.addExact(length, more);
    if (wanted > ids.length) {
      ids = Arrays.copyOf(ids, Math.max(wanted, ids.length + ids.length / 2));
    }
  }
}
