package io.moextend.backend.plain;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.Memory;
import io.moextend.backend.Backend;
import io.moextend.backend.Rounding;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Set;

/** The kernels as plain loops in double; a reference for tests, slow and simple. */
public final class PlainBackend
    implements Backend,
        PlainMatrixKernels,
        PlainNormKernels,
        PlainElementKernels,
        PlainRowKernels,
        PlainAttentionKernels,
        PlainRoutingKernels,
        PlainLossKernels,
        PlainUpdateKernels,
        PlainAdafactorKernels,
        PlainAdapterKernels {
  private final Memory memory =
      new Memory() {
        private long live;

        @Override
        public Array allocate(DType dtype, long... shape) {
          double[] data = new double[Math.toIntExact(Array.sizeOf(shape))];
          Arrays.fill(data, Double.NaN); // uninitialised: a kernel must write it all
          Array array = new PlainArray(dtype, shape, null, data, 0);
          live += array.bytes();
          return array;
        }

        @Override
        public void free(Array base) {
          live -= base.bytes();
          ((PlainArray) base).free();
        }

        @Override
        public long liveBytes() {
          return live;
        }

        @Override
        public long peakBytes() {
          return live;
        }

        @Override
        public void resetPeak() {}
      };

  @Override
  public String name() {
    return "plain";
  }

  @Override
  public String device() {
    return "loops over doubles";
  }

  @Override
  public Set<DType> computeTypes() {
    return Set.of(DType.F64);
  }

  @Override
  public Memory memory() {
    return memory;
  }

  @Override
  public void copyIn(Array to, MemorySegment from) {
    double[] values = Rounding.decode(to.dtype(), from);
    for (int i = 0; i < values.length; i++) {
      PlainArray.of(to).set(i, values[i]);
    }
  }

  @Override
  public void copyOut(Array from, MemorySegment to) {
    double[] values = new double[(int) from.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = PlainArray.of(from).get(i);
    }
    to.copyFrom(Rounding.encode(from.dtype(), values));
  }

  @Override
  public Array wrap(Arena arena, DType dtype, MemorySegment memory, long... shape) {
    Array array = arena.allocate(dtype, shape);
    copyIn(array, memory);
    return array;
  }

  @Override
  public void synchronize() {}

  @Override
  public void close() {}
}
