package io.moextend.backend.cpu;

import io.moextend.array.DType;

/** A row that all others meet, such as a norm's weight, once in F32 and in whole vectors. */
final class WideRow implements AutoCloseable {
  private final CpuMemory memory;
  private final long address;
  private final long capacity;

  WideRow(CpuDevice cpu, CpuArray row) {
    this.memory = cpu.memory();
    int n = CpuDevice.count(row.size());
    this.capacity = 4L * Floats.padded(n);
    this.address = memory.take(capacity);
    float[] values = new float[Floats.padded(n)];
    Floats.load(row, 0, n, values);
    Floats.store(values, values.length, DType.F32, address);
  }

  long address() {
    return address;
  }

  @Override
  public void close() {
    memory.give(address, capacity);
  }
}
