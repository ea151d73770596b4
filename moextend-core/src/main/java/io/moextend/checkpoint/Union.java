package io.moextend.checkpoint;

import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Several sources that share no name, read as one. */
public final class Union implements WeightSource {
  private final List<WeightSource> sources;
  private final SortedMap<String, WeightSource> byName;

  /**
   * Takes over the sources and closes them; where this throws they stay the caller's.
   *
   * @throws CheckpointException where two sources have a tensor of one name
   */
  public Union(List<WeightSource> sources) {
    this.sources = List.copyOf(sources);
    var owners = new TreeMap<String, WeightSource>();
    for (WeightSource source : sources) {
      for (String name : source.names()) {
        WeightSource other = owners.put(name, source);
        if (other != null) {
          throw CheckpointException.ofTensor(
              source.origin(), name, "stands in " + other.origin() + " too; leave one of them out");
        }
      }
    }
    this.byName = Collections.unmodifiableSortedMap(owners);
  }

  @Override
  public Set<String> names() {
    return byName.keySet();
  }

  @Override
  public TensorData tensor(String name) {
    WeightSource owner = byName.get(name);
    if (owner == null) {
      throw CheckpointException.ofTensor(origin(), name, "is in none of these");
    }
    return owner.tensor(name);
  }

  @Override
  public String origin() {
    return sources.stream().map(WeightSource::origin).collect(Collectors.joining(" + "));
  }

  @Override
  public void close() {
    sources.forEach(WeightSource::close);
  }
}
