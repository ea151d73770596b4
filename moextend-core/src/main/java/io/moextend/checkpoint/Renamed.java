package io.moextend.checkpoint;

import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** Some tensors of a source under other names; the others are not there. Closes the source. */
public final class Renamed implements WeightSource {
  private final WeightSource source;
  private final Map<String, String> from;

  /**
   * @param from the source's name of each name
   */
  public Renamed(WeightSource source, Map<String, String> from) {
    this.source = source;
    this.from = new TreeMap<>(from);
  }

  @Override
  public Set<String> names() {
    return from.keySet();
  }

  @Override
  public TensorData tensor(String name) {
    String original = from.get(name);
    if (original == null) {
      throw CheckpointException.ofTensor(origin(), name, "is not among those read here");
    }
    return source.tensor(original).named(name);
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
