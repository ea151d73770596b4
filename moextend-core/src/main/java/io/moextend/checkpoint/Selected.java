package io.moextend.checkpoint;

import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;

/** Some tensors of a source; the others are not there for its reader. Closes the source. */
public final class Selected implements WeightSource {
  private final WeightSource source;
  private final Set<String> names;

  public Selected(WeightSource source, Predicate<String> wanted) {
    this.source = source;
    this.names = new TreeSet<>(source.names());
    names.removeIf(wanted.negate());
  }

  @Override
  public Set<String> names() {
    return names;
  }

  @Override
  public TensorData tensor(String name) {
    if (!names.contains(name)) {
      throw new CheckpointException(
          source.origin() + ": tensor " + name + " is not among those read here");
    }
    return source.tensor(name);
  }

  @Override
  public String origin() {
    return source.origin();
  }

  @Override
  public void close() {
    source.close();
  }
}
