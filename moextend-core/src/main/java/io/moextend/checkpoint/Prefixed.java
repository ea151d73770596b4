package io.moextend.checkpoint;

import java.util.Collections;
import java.util.Set;
import java.util.TreeSet;

/** A source whose names all carry a prefix: a tower's own checkpoint inside a larger model. */
public final class Prefixed implements WeightSource {
  private final WeightSource source;
  private final String prefix;
  private final Set<String> names;

  /** Takes over the source and closes it. */
  public Prefixed(WeightSource source, String prefix) {
    this.source = source;
    this.prefix = prefix;
    var prefixed = new TreeSet<String>();
    source.names().forEach(name -> prefixed.add(prefix + name));
    this.names = Collections.unmodifiableSet(prefixed);
  }

  @Override
  public Set<String> names() {
    return names;
  }

  @Override
  public TensorData tensor(String name) {
    if (!names.contains(name)) {
      throw CheckpointException.ofTensor(
          origin(), name, "is not in this checkpoint, whose names start with " + prefix);
    }
    return source.tensor(name.substring(prefix.length())).named(name);
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
