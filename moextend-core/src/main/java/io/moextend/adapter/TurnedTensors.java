package io.moextend.adapter;

import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import java.util.Set;

/** A file's tensors as memory has them. Closes the file. */
record TurnedTensors(WeightSource file) implements WeightSource {
  @Override
  public Set<String> names() {
    return file.names();
  }

  @Override
  public TensorData tensor(String name) {
    return turned(file.tensor(name));
  }

  /** As a file has what memory has, and the other way round. */
  static TensorData turned(TensorData data) {
    return SiteTensor.isTurned(data.name()) ? data.turned() : data;
  }

  @Override
  public String origin() {
    return file.origin();
  }

  @Override
  public void close() {
    file.close();
  }
}
