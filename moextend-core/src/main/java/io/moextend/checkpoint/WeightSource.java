package io.moextend.checkpoint;

import java.util.Set;

/** Named tensors to read a model from: one file, a sharded folder, or several put together. */
public interface WeightSource extends AutoCloseable {
  Set<String> names();

  /**
   * @throws CheckpointException where there is no such tensor
   */
  TensorData tensor(String name);

  /**
   * The tensor to be read piece by piece when it is written or summed up. Of a file nothing stays
   * in memory; a source that is no file hands out what it has.
   *
   * @throws CheckpointException where there is no such tensor
   */
  default TensorStream stream(String name) {
    return TensorStream.of(tensor(name));
  }

  /** Where it comes from, for messages. */
  String origin();

  @Override
  void close();
}
