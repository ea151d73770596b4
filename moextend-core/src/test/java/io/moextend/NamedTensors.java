package io.moextend;

import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;

/** Some of a source's tensors. */
public record NamedTensors(WeightSource all, Predicate<String> wanted) implements WeightSource {
  /** Without what turns images into tokens. */
  public static WeightSource languageModelOf(WeightSource all) {
    return new NamedTensors(
        all,
        name -> !name.startsWith("model.vision_tower.") && !name.startsWith("model.mm_projector."));
  }

  @Override
  public Set<String> names() {
    var names = new TreeSet<>(all.names());
    names.removeIf(wanted.negate());
    return names;
  }

  @Override
  public TensorData tensor(String name) {
    return all.tensor(name);
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
