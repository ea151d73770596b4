package io.moextend.checkpoint;

import io.moextend.array.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Collection;
import java.util.function.Supplier;

/**
 * A tensor to be written: what it is, and a way to its bytes that is taken only when its turn
 * comes, so that a model need not fit in memory.
 */
public record TensorStream(String name, DType dtype, long[] shape, Content content) {
  /** Hands over a tensor's bytes, little-endian and row-major, in one piece or several. */
  @FunctionalInterface
  public interface Content {
    void writeTo(Sink sink) throws IOException;
  }

  /** Where bytes go. A segment may be used again as soon as the call returns. */
  @FunctionalInterface
  public interface Sink {
    void write(MemorySegment bytes) throws IOException;
  }

  public TensorStream {
    if (name.isEmpty() || name.equals(SafetensorsHeader.METADATA)) {
      throw new CheckpointException("a tensor cannot be named \"" + name + "\"");
    }
    TensorData.bytesOf(name, dtype, shape);
  }

  public static TensorStream of(TensorData data) {
    return new TensorStream(
        data.name(), data.dtype(), data.shape(), sink -> sink.write(data.bytes()));
  }

  /** Its bytes are made when they are written and may go away afterwards. */
  public static TensorStream lazily(
      String name, DType dtype, long[] shape, Supplier<MemorySegment> bytes) {
    return new TensorStream(name, dtype, shape, sink -> sink.write(bytes.get()));
  }

  /** Everything a source holds. */
  public static Collection<TensorStream> all(WeightSource source) {
    return source.names().stream().map(name -> of(source.tensor(name))).toList();
  }

  public long bytes() {
    return TensorData.bytesOf(name, dtype, shape);
  }
}
