package io.moextend.backend.cpu;

import io.moextend.array.DType;

/**
 * Some numbers of an array as a loop over whole vectors reads or writes them: where they are, if
 * that is F32 or BF16, which goes by pairs, and no vector would reach beyond them, else a copy in
 * F32.
 *
 * @param width bytes of a number: {@link Vectors#F32} or {@link Vectors#BF16}
 */
record Operand(long address, int width) {
  /** Buffers for copies begin here among a worker's. */
  private static final int COPIES = 32;

  /** Numbers of a vector of pairs. */
  private static final int PAIRS = 2 * Vectors.LANES;

  /**
   * How many of {@code left} numbers to take at once, so that all but the last few are in place.
   */
  static int span(long left) {
    int n = (int) Math.min(CpuDevice.CHUNK, left);
    return n < PAIRS ? n : n - n % PAIRS;
  }

  /**
   * Numbers to be read; a copy is padded with zeros.
   *
   * @param slot which of the worker's copies, if it is one
   */
  static Operand in(Lane lane, int slot, CpuArray from, long first, int n) {
    if (inPlace(from, n)) {
      return new Operand(from.address(first), from.dtype().bytes());
    }
    Operand copy = buffer(lane, slot, n);
    if (from.dtype() == DType.BF16 && n % Vectors.LANES == 0) {
      PointwiseLoops.widenTo(from.address(first), copy.address, n);
      return copy;
    }
    float[] values = lane.floats(0, n);
    Floats.load(from, first, n, values);
    Floats.store(values, Floats.padded(n), DType.F32, copy.address);
    return copy;
  }

  /** Where numbers are to be written; {@link #finish} brings them to the array. */
  static Operand out(Lane lane, int slot, CpuArray to, long first, int n) {
    return inPlace(to, n)
        ? new Operand(to.address(first), to.dtype().bytes())
        : buffer(lane, slot, n);
  }

  /** To be called after the loop that wrote {@code n} numbers here. */
  void finish(Lane lane, CpuArray to, long first, int n) {
    if (inPlace(to, n)) {
      return;
    }
    if (to.dtype() == DType.BF16 && n % Vectors.LANES == 0) {
      PointwiseLoops.narrowTo(address, to.address(first), n);
    } else {
      float[] values = lane.floats(0, n);
      Floats.load(DType.F32, address, n, values);
      Floats.store(values, n, to, first);
    }
  }

  /** Memory of the worker's for {@code n} F32 numbers in whole vectors. */
  static Operand buffer(Lane lane, int slot, int n) {
    return new Operand(lane.scratch(COPIES + slot, 4L * Floats.padded(n)), Vectors.F32);
  }

  /**
   * Adds {@code rows} stretches of an array, in order, to {@code n} F32 numbers, which are a
   * buffer.
   *
   * @param stride from one to the next
   */
  void addRows(Lane lane, int slot, CpuArray from, long first, long stride, int rows, int n) {
    int r = 0;
    if (inPlace(from, n)) {
      int bytes = from.dtype().bytes();
      long step = stride * bytes;
      for (; r <= rows - 4; r += 4) {
        long a = from.address(first + r * stride);
        SumLoops.addFour(address, a, a + step, a + 2 * step, a + 3 * step, bytes, n);
      }
    }
    for (; r < rows; r++) {
      Operand row = in(lane, slot, from, first + r * stride, n);
      SumLoops.add(address, 1, row.address, row.width, n);
    }
  }

  /** Σ of products with others of the same width. */
  float dot(Operand other, int n) {
    return width == Vectors.BF16
        ? SumLoops.dotBf16(address, other.address, n)
        : SumLoops.dot(address, other.address, n);
  }

  /** These numbers in F32: here, or in a buffer. */
  Operand wide(Lane lane, int slot, int n) {
    if (width == Vectors.F32) {
      return this;
    }
    Operand copy = buffer(lane, slot, n);
    PointwiseLoops.widenTo(address, copy.address, n);
    return copy;
  }

  /** These numbers in F32 and, if they are BF16, in the order of {@link PairLoops}. */
  Operand unpacked(Lane lane, int slot, int n) {
    if (width == Vectors.F32) {
      return this;
    }
    Operand copy = buffer(lane, slot, n);
    PairLoops.unpack(address, copy.address, n);
    return copy;
  }

  /** Where F32 numbers can be written that go here: here, or to a buffer for {@link #take}. */
  Operand wideOut(Lane lane, int slot, int n) {
    return width == Vectors.F32 ? this : buffer(lane, slot, n);
  }

  /** Brings here what was written to {@link #wideOut}. */
  void take(Operand written, int n) {
    if (written.address != address) {
      PointwiseLoops.narrowTo(written.address, address, n);
    }
  }

  /** As {@link #take}, in the order of {@link PairLoops} where this is BF16. */
  void pack(Operand written, int n) {
    if (written.address != address) {
      PairLoops.pack(written.address, address, n);
    }
  }

  /** The numbers from the {@code i}-th on. */
  Operand from(int i) {
    return new Operand(address + (long) i * width, width);
  }

  /** Overwrites what pads the {@code n} numbers to whole vectors; there is none but in a copy. */
  void pad(int n, float value) {
    int end = (n + Vectors.LANES - 1) / Vectors.LANES * Vectors.LANES;
    for (int i = n; i < end; i++) {
      set(i, value);
    }
  }

  /** One number of a buffer. */
  float get(int i) {
    return Vectors.get(address, i);
  }

  void set(int i, float value) {
    Vectors.put(address, i, value);
  }

  /** True where {@code n} numbers of an array can be read and written where they are. */
  private static boolean inPlace(CpuArray array, int n) {
    return switch (array.dtype()) {
      case F32 -> n % Vectors.LANES == 0;
      case BF16 -> n % PAIRS == 0;
      case F64, F16, I64, I32, I8, U8 -> false;
    };
  }

  /** What {@link #in} and {@link #out} will say of {@code n} numbers of an array. */
  static int width(CpuArray array, int n) {
    return inPlace(array, n) ? array.dtype().bytes() : Vectors.F32;
  }
}
