package io.moextend.backend.cpu;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;

/** a = b + s·c as plainly as can be: what the memory gives, for kernels to be measured against. */
public final class Triad {
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
  private static final int BLOCK = 1 << 16;

  private Triad() {}

  /**
   * @param backend the cpu backend; the arrays are its own, F32, a multiple of 65536 long
   */
  public static void run(Backend backend, Array a, Array b, Array c, float s) {
    CpuArray into = CpuArray.of(a, DType.F32);
    CpuArray left = CpuArray.of(b, DType.F32);
    CpuArray right = CpuArray.of(c, DType.F32);
    int blocks = Math.toIntExact(a.size() / BLOCK);
    // a stretch of its own for each worker, as it is usually measured
    int workers = Math.min(blocks, ((CpuBackend) backend).cpu().workers().count());
    ((CpuBackend) backend)
        .cpu()
        .workers()
        .run(
            workers,
            (lane, i) -> {
              for (int block = i * blocks / workers; block < (i + 1) * blocks / workers; block++) {
                long at = (long) block * BLOCK;
                block(into.address(at), left.address(at), right.address(at), s);
              }
            });
  }

  private static void block(long a, long b, long c, float s) {
    for (int i = 0; i < BLOCK; i += Floats.LANES) {
      FloatVector.fromMemorySegment(Floats.SPECIES, CpuArray.ALL, c + 4L * i, ORDER)
          .mul(s)
          .add(FloatVector.fromMemorySegment(Floats.SPECIES, CpuArray.ALL, b + 4L * i, ORDER))
          .intoMemorySegment(CpuArray.ALL, a + 4L * i, ORDER);
    }
  }
}
