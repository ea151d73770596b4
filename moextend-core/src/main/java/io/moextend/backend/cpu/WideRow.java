package io.moextend.backend.cpu;

import io.moextend.array.DType;

/**
 * A row that all rows of an array meet, such as a norm's weight: once in F32, in whole vectors and
 * in the order in which those rows are read.
 */
final class WideRow implements AutoCloseable {
  private final CpuMemory memory;
  private final long address;
  private final long capacity;

  /**
   * @param others whose rows it meets, of the same length
   */
  WideRow(CpuDevice cpu, CpuArray row, CpuArray others) {
    this.memory = cpu.memory();
    int n = CpuDevice.count(row.size());
    this.capacity = 4L * Floats.padded(n);
    this.address = memory.take(capacity);
    float[] values = new float[Floats.padded(n)];
    Floats.load(row, 0, n, values);
    for (int i = 0; i < n; i++) {
      if (Float.isNaN(values[i])) {
        values[i] = Float.NaN; // of those there are, the one that can be rounded
      }
    }
    Floats.store(values, values.length, DType.F32, address);
    if (Operand.width(others, n) == Vectors.BF16) {
      PairLoops.split(address, address, n);
    }
  }

  long address() {
    return address;
  }

  @Override
  public void close() {
    memory.give(address, capacity);
  }
}
