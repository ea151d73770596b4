package io.moextend.autograd;

import io.moextend.array.Array;
import org.jspecify.annotations.Nullable;

/** A named weight. What it is for decides which stage trains it. */
public final class Parameter implements Tensor {
  /** What a weight is for. A stage is a set of roles. */
  public enum Role {
    /** Embeddings, attention, norms, pretrained experts, the head. */
    BACKBONE,
    /** Gates over the pretrained experts. */
    ROUTER,
    VISION_TOWER,
    PROJECTOR,
    /** Experts that were added. */
    NEW_EXPERT,
    /** Gate rows of added experts. */
    NEW_ROUTER,
    CALIBRATION,
    ADAPTER
  }

  private final String name;
  private final Role role;
  private final Array data;
  private final @Nullable String origin;
  private boolean trainable;
  private long version;

  /**
   * @param name as in the published checkpoint
   */
  public Parameter(String name, Role role, Array data) {
    this(name, role, data, null);
  }

  /**
   * @param origin the file and tensor it was read from, null where it was not
   */
  public Parameter(String name, Role role, Array data, @Nullable String origin) {
    this.name = name;
    this.role = role;
    this.data = data;
    this.origin = origin;
  }

  public String name() {
    return name;
  }

  public Role role() {
    return role;
  }

  /**
   * What its values are known by while they do not change, the same in every process; null where
   * they are this process' own.
   */
  public @Nullable String origin() {
    return version == 0 ? origin : null;
  }

  @Override
  public Array data() {
    return data;
  }

  public void trainable(boolean value) {
    trainable = value;
  }

  @Override
  public boolean requiresGrad() {
    return trainable;
  }

  /**
   * To be called by who writes into {@link #data}: what was packed from it is made anew before its
   * next use.
   */
  public void updated() {
    version++;
  }

  public long version() {
    return version;
  }

  @Override
  public String toString() {
    return name + " " + data;
  }
}
