package io.moextend.cli;

import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import java.util.Set;
import java.util.TreeSet;

/** A batch with the choice of experts that another file recorded. */
record Replayed(WeightSource batch, WeightSource recorded) implements WeightSource {
  private static final String CHOICE = "selected_experts.";

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
