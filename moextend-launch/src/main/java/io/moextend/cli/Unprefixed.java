package io.moextend.cli;

import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import java.util.Set;
import java.util.TreeSet;

/** The tensors of a file whose names begin alike, by what follows. */
record Unprefixed(WeightSource all, String prefix) implements WeightSource {
  @Override
  public Set<String> names() {
    var names = new TreeSet<String>();
    for (String name : all.names()) {
      if (name.startsWith(prefix)) {
        names.add(name.substring(prefix.length()));
      }
    }
    return names;
  }

  @Override
  public TensorData tensor(String name) {
    return all.tensor(prefix + name).named(name);
  }

  @Override
  public String origin() {
    return all.origin();
  }

  @Override
  public void close() {
    all.close();
  }
}
