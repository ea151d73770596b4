package io.moextend.backend.cuda;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.BackendException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** An array in a card's memory; views share the block of their base. */
final class CudaArray extends Array {
  /** A piece of the card's memory. */
  static final class Block {
    private final DeviceBlocks.Range range;
    private final boolean counted;
    private volatile boolean live = true;

    /**
     * @param counted false for what the backend keeps for itself
     */
    Block(DeviceBlocks.Range range, boolean counted) {
      this.range = range;
      this.counted = counted;
    }

    boolean isCounted() {
      return counted;
    }

    DeviceBlocks.Range range() {
      return range;
    }

    void kill() {
      live = false;
    }
  }

  private final Block block;
  private final long address;

  CudaArray(DType dtype, long[] shape, Block block, long address, @Nullable CudaArray base) {
    super(dtype, shape, base);
    this.block = block;
    this.address = address;
  }

  /** This backend's array behind {@code array}; throws where it was freed or is another's. */
  static CudaArray of(Array array) {
    if (!(array instanceof CudaArray own)) {
      throw new IllegalArgumentException(
          "%s is an array of another backend (%s); copy it through the host"
              .formatted(array, array.getClass().getSimpleName()));
    }
    if (!own.isLive()) {
      throw new IllegalStateException(
          "%s was freed; keep it in its tape scope or arena until the last use".formatted(own));
    }
    return own;
  }

  /** As {@link #of(Array)}, of one element type. */
  static CudaArray of(Array array, DType wanted) {
    CudaArray own = of(array);
    if (own.dtype() != wanted) {
      throw new ShapeException("%s where %s is wanted".formatted(own, wanted));
    }
    return own;
  }

  /** As {@link #of(Array)}, for arithmetic: F32 or BF16. */
  static CudaArray number(Array array) {
    CudaArray own = of(array);
    if (own.dtype() != DType.F32 && own.dtype() != DType.BF16) {
      throw new BackendException(
          "backend cuda computes in F32 and BF16, and an array is %s; cast it first"
              .formatted(own));
    }
    return own;
  }

  /** How kernels are named for a type. */
  static String suffix(DType dtype) {
    return switch (dtype) {
      case F32 -> "f32";
      case BF16 -> "bf16";
      case F16 -> "f16";
      case F64 -> "f64"; // sums, which are cast and copied
      case I64, I32, I8, U8 ->
          throw new BackendException(
              "no kernel of backend cuda computes in %s; it has F32 and BF16".formatted(dtype));
    };
  }

  String suffix() {
    return suffix(dtype());
  }

  Block block() {
    return block;
  }

  /** Where element 0 lies. */
  long address() {
    return address;
  }

  /** Where an element lies. */
  long address(long element) {
    return address + element * dtype().bytes();
  }

  /** Bytes of one row of a matrix. */
  long rowBytes() {
    return dim(1) * dtype().bytes();
  }

  @Override
  public boolean isLive() {
    return block.live;
  }

  @Override
  public Array reshape(long... shape) {
    if (sizeOf(shape) != size()) {
      throw new ShapeException(
          "%s cannot take the shape %s".formatted(this, Arrays.toString(shape)));
    }
    return new CudaArray(dtype(), shape, block, address, (CudaArray) base());
  }

  @Override
  public Array slice(long from, long to) {
    if (rank() == 0 || from < 0 || to < from || to > dim(0)) {
      throw new ShapeException("slice [%d, %d) of %s".formatted(from, to, this));
    }
    long[] shape = shape();
    long row = shape[0] == 0 ? 0 : size() / shape[0];
    shape[0] = to - from;
    return new CudaArray(dtype(), shape, block, address(from * row), (CudaArray) base());
  }
}
