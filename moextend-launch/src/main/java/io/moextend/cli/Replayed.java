package io.moextend.cli;

import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import java.util.Set;
import java.util.TreeSet;

/** A batch with the choice of experts that another file recorded. */
record Replayed(WeightSource batch, WeightSource recorded) implements WeightSource {
  private static final String CHOICE = "selected_experts.";

  /**
   * @throws CheckpointException where no choice was recorded; both are closed then
   */
  static Replayed of(WeightSource batch, WeightSource recorded) {
    if (!recorded.names().contains(CHOICE + 0)) {
      batch.close();
      recorded.close();
      throw new CheckpointException(
          recorded.origin() + ": has no " + CHOICE + "0; name a file with a recorded choice");
    }
    return new Replayed(batch, recorded);
  }

  @Override
  public Set<String> names() {
    var names = new TreeSet<>(batch.names());
    recorded.names().stream().filter(n -> n.startsWith(CHOICE)).forEach(names::add);
    return names;
  }

  @Override
  public TensorData tensor(String name) {
    return name.startsWith(CHOICE) ? recorded.tensor(name) : batch.tensor(name);
  }

  @Override
  public String origin() {
    return batch.origin();
  }

  @Override
  public void close() {
    batch.close();
    recorded.close();
  }
}
