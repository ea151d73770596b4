package io.moextend.autograd;

import io.moextend.array.Array;
import io.moextend.array.DType;
import java.util.Arrays;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** A named weight. What it is for decides which stage trains it. */
public final class Parameter implements Tensor {
  /** What a weight is for. A stage is a set of roles. */
  public enum Role {
    /** Embeddings, attention, norms, the head; of a Mixtral its pretrained experts too. */
    BACKBONE,
    /** Gates over the pretrained experts; where there are two, that of text tokens. */
    ROUTER,
    VISION_TOWER,
    PROJECTOR,
    /** Experts that were added. */
    NEW_EXPERT,
    /** Gate rows of added experts. */
    NEW_ROUTER,
    CALIBRATION,
    ADAPTER,
    /** The one network of a layer without experts. */
    FEED_FORWARD,
    /** Experts of a model that was a dense one. */
    EXPERT,
    /** Gates over the experts of vision tokens. */
    VISION_ROUTER;

    /** As it is printed: "vision router". */
    public String words() {
      return name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }
  }

  private final String name;
  private final Role role;
  private final long[] shape;
  private final @Nullable String origin;
  private DType dtype;
  private @Nullable Array data;
  private @Nullable Array initial;
  private boolean passing;
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
    this.shape = data.shape();
    this.dtype = data.dtype();
    this.origin = origin;
  }

  /**
   * One whose values come and go from the start.
   *
   * @param initial what they start from, in any floating type, to be read by who takes them over
   * @param placed the type they will have
   */
  public static Parameter passing(
      String name, Role role, Array initial, DType placed, @Nullable String origin) {
    var parameter = new Parameter(name, role, initial, origin);
    parameter.pass(placed);
    parameter.initial = initial;
    return parameter;
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

  /** A copy of the sizes, outermost first; there even while the values are not. */
  public long[] shape() {
    return shape.clone();
  }

  public int rank() {
    return shape.length;
  }

  /** Number of elements. */
  public long size() {
    return Array.sizeOf(shape);
  }

  /** Type of the values. */
  public DType dtype() {
    return dtype;
  }

  /**
   * @throws IllegalStateException where the values come and go and are not there now
   */
  @Override
  public Array data() {
    if (data == null) {
      throw new IllegalStateException(
          name
              + " is not here: its values are shared among the ranks and gathered only while its"
              + " layer runs; gather them first");
    }
    return data;
  }

  /** The values as they were loaded, to be taken over before {@link #pass}. */
  public Array initial() {
    return initial == null ? data() : initial;
  }

  /**
   * From now on the values come and go: they are there between {@link #place} and {@link #evict}
   * alone, and not now. Who calls this has taken them over.
   *
   * @param placed the type they will have
   */
  public void pass(DType placed) {
    passing = true;
    initial = null;
    dtype = placed;
    evict();
  }

  /** True where the values come and go. */
  public boolean isPassing() {
    return passing;
  }

  /** The values are {@code values} until {@link #evict}. */
  public void place(Array values) {
    if (!passing || values.dtype() != dtype) {
      throw new IllegalStateException("%s cannot be placed as %s".formatted(this, values));
    }
    data = values.require(name, shape);
    version++;
  }

  public void evict() {
    if (!passing) {
      throw new IllegalStateException(name + " keeps its values");
    }
    data = null;
    version++;
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
    return name + " " + dtype + Arrays.toString(shape);
  }
}
