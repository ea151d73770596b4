package io.moextend.backend.nd4j;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Array;
import java.util.ArrayList;
import java.util.List;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * The arrays that one kernel call makes for itself: closed when it returns, since ND4J would else
 * keep them until a garbage collection.
 */
final class Temporaries implements AutoCloseable {
  private final List<INDArray> held = new ArrayList<>();

  @MustBeClosed
  Temporaries() {}

  /** Takes over {@code fresh}, an array with a buffer of its own. */
  INDArray keep(INDArray fresh) {
    held.add(fresh);
    return fresh;
  }

  INDArray zeros(DataType type, long... shape) {
    return keep(Nd4j.zeros(type, shape));
  }

  INDArray uninitialized(DataType type, long... shape) {
    return keep(Nd4j.createUninitialized(type, shape));
  }

  INDArray ints(int[] values) {
    return keep(Nd4j.createFromArray(values));
  }

  /** The values in {@code type}. */
  INDArray numbers(double[] values, DataType type) {
    return cast(keep(Nd4j.createFromArray(values)), type);
  }

  /** A dense copy, which may be written. */
  INDArray copy(INDArray array) {
    return keep(array.dup('c'));
  }

  /** {@code array} in {@code type}: itself where it has that type, so not to be written. */
  INDArray cast(INDArray array, DataType type) {
    return array.dataType() == type ? array : keep(array.castTo(type));
  }

  /** {@code array} in {@code type}: its own elements where it has that type, not to be written. */
  INDArray cast(Array array, DataType type) {
    return cast(Nd4jArray.of(array), type);
  }

  @Override
  public void close() {
    held.forEach(INDArray::close);
    held.clear();
  }
}
