package io.moextend.backend.plain;

import io.moextend.array.Array;
import io.moextend.array.DType;
import org.jspecify.annotations.Nullable;

/** Doubles on the Java heap, whatever the element type. */
final class PlainArray extends Array {
  private final double[] data;
  private final int begin;
  private boolean freed;

  PlainArray(DType dtype, long[] shape, @Nullable PlainArray base, double[] data, int begin) {
    super(dtype, shape, base);
    this.data = data;
    this.begin = begin;
  }

  static PlainArray of(Array array) {
    if (!array.isLive()) {
      throw new IllegalStateException(array.toString());
    }
    return (PlainArray) array;
  }

  int rows() {
    return (int) dim(0);
  }

  /** Elements of one row. */
  int width() {
    return rows() == 0 ? 0 : (int) size() / rows();
  }

  double get(int i) {
    return data[begin + i];
  }

  double get(int row, int column) {
    return data[begin + row * width() + column];
  }

  int integer(int i) {
    return (int) get(i);
  }

  void set(int i, double value) {
    data[begin + i] = value;
  }

  void set(int row, int column, double value) {
    data[begin + row * width() + column] = value;
  }

  void add(int row, int column, double value) {
    data[begin + row * width() + column] += value;
  }

  void free() {
    freed = true;
  }

  @Override
  public boolean isLive() {
    return !((PlainArray) base()).freed;
  }

  @Override
  public Array reshape(long... shape) {
    return new PlainArray(dtype(), shape, (PlainArray) base(), data, begin);
  }

  @Override
  public Array slice(long from, long to) {
    long[] shape = shape();
    shape[0] = to - from;
    return new PlainArray(dtype(), shape, (PlainArray) base(), data, begin + (int) from * width());
  }
}
