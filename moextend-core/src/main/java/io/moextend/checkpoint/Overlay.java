package io.moextend.checkpoint;

import java.util.Arrays;
import java.util.Collections;
import java.util.Set;
import java.util.TreeSet;

/** A base with a delta's tensors on top: the trained model. Closes both. */
public final class Overlay implements WeightSource {
  private final WeightSource base;
  private final DeltaCheckpoint delta;
  private final Set<String> names;

  private Overlay(WeightSource base, DeltaCheckpoint delta, Set<String> names) {
    this.base = base;
    this.delta = delta;
    this.names = Collections.unmodifiableSet(names);
  }

  /**
   * Reads the whole base once, for its fingerprint. Where this throws, both stay the caller's.
   *
   * @throws CheckpointException where the delta is of another base, or gives a tensor of the base
   *     another shape
   */
  public static Overlay of(WeightSource base, DeltaCheckpoint delta) {
    Fingerprint found = Fingerprint.of(base);
    if (!found.equals(delta.base())) {
      throw new CheckpointException(
          "%s: is a delta of base %s, but %s has fingerprint %s; give the base it was trained on"
              .formatted(delta.origin(), delta.base(), base.origin(), found));
    }
    var names = new TreeSet<>(base.names());
    for (String name : delta.names()) {
      if (!names.add(name)) {
        checkShape(name, base.tensor(name).shape(), delta.tensor(name).shape(), delta.origin());
      }
    }
    return new Overlay(base, delta, names);
  }

  private static void checkShape(String name, long[] below, long[] above, String origin) {
    if (!Arrays.equals(below, above)) {
      throw CheckpointException.ofTensor(
          origin,
          name,
          "has shape %s where the base has %s; a delta does not reshape"
              .formatted(Arrays.toString(above), Arrays.toString(below)));
    }
  }

  @Override
  public Set<String> names() {
    return names;
  }

  @Override
  public TensorData tensor(String name) {
    return delta.names().contains(name) ? delta.tensor(name) : base.tensor(name);
  }

  @Override
  public TensorStream stream(String name) {
    return delta.names().contains(name) ? delta.stream(name) : base.stream(name);
  }

  @Override
  public String origin() {
    return base.origin() + " + " + delta.origin();
  }

  @Override
  public void close() {
    delta.close();
    base.close();
  }
}
