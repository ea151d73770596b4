package io.moextend.checkpoint;

import java.util.Set;

/** Named tensors to read a model from: one file, a sharded folder, or several put together. */
public interface WeightSource extends AutoCloseable {
  Set<String> names();

  /**
   * @throws CheckpointException where there is no such tensor
   */
  TensorData tensor(String name);

  /** Where it comes from, for messages. */
  String origin();

  @Override
  void close();
}
