package io.moextend.backend.nd4j;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.Memory;
import java.util.concurrent.atomic.AtomicLong;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** ND4J's own buffers, counted. They are not aligned to 64 bytes: ND4J does not care. */
final class Nd4jMemory implements Memory {
  private final AtomicLong live = new AtomicLong();
  private final AtomicLong peak = new AtomicLong();

  @Override
  public Array allocate(DType dtype, long... shape) {
    long size = Array.sizeOf(shape);
    INDArray flat = Nd4j.createUninitialized(Nd4jArray.type(dtype), Math.max(1, size));
    Array array = Nd4jArray.owning(dtype, shape, flat);
    long now = live.addAndGet(array.bytes());
    peak.accumulateAndGet(now, Math::max);
    return array;
  }

  @Override
  public void free(Array base) {
    Nd4jArray own = Nd4jArray.own(base);
    live.addAndGet(-own.bytes());
    own.flat().close();
  }

  @Override
  public long liveBytes() {
    return live.get();
  }

  @Override
  public long peakBytes() {
    return peak.get();
  }

  @Override
  public void resetPeak() {
    peak.set(live.get());
  }
}
