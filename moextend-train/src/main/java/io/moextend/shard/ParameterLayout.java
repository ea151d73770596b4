package io.moextend.shard;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.config.ConfigException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

/**
 * Where each trainable parameter lies in the flat buffers of gradients, masters and state. The
 * order is the model's own; every slice starts at a multiple of 64 bytes. Whole units of the model
 * are put together into buckets, which are what ranks exchange at once, and each bucket divides
 * evenly among the shards. What lies between slices is 0 and stays 0.
 */
public final class ParameterLayout {
  private static final int ALIGNMENT_BYTES = 64;

  /** Elements a shard's part of a bucket is a multiple of: 64 bytes in F32. */
  private static final int PIECE_MULTIPLE = 16;

  /**
   * A parameter's elements in a flat buffer.
   *
   * @param index its place in {@link #slices}
   * @param from first element
   * @param to one past the last
   */
  public record Slice(int index, Parameter parameter, long from, long to) {
    /** The part of {@code flat} that is this parameter's, in one dimension. */
    public Array of(Array flat) {
      return flat.slice(from, to);
    }

    /**
     * Biases and norms are spared by weight decay, as in Hugging Face's trainer. A norm is a weight
     * of one dimension; DINOv2's layer scales and CLIP's class embedding have one too, but another
     * name.
     */
    public boolean decays() {
      boolean norm = parameter.rank() == 1 && parameter.name().endsWith(".weight");
      return !norm && !parameter.name().endsWith("bias");
    }
  }

  /** Elements from (inclusive) to (exclusive) of a flat buffer. */
  public record Range(long from, long to) {
    public long length() {
      return to - from;
    }
  }

  /**
   * What is exchanged at once: the parameters of some units that follow each other.
   *
   * @param firstUnit the first of them that has any; with it the bucket's gradients are complete
   * @param slices its parameters
   */
  public record Bucket(int index, int firstUnit, long from, long to, List<Slice> slices) {
    public long length() {
      return to - from;
    }

    public Range range() {
      return new Range(from, to);
    }

    /** Elements of this bucket, given in the layout, in an array that begins with the bucket. */
    public Array of(Array array, Range range) {
      return array.slice(range.from() - from, range.to() - from);
    }
  }

  private final List<Slice> slices;
  private final List<Bucket> buckets;
  private final Map<Parameter, Slice> byParameter = new IdentityHashMap<>();
  private final int[] bucketOfSlice;
  private final int shards;
  private final DType compute;

  private ParameterLayout(List<Bucket> buckets, int shards, DType compute) {
    this.buckets = List.copyOf(buckets);
    this.slices = buckets.stream().flatMap(b -> b.slices().stream()).toList();
    this.shards = shards;
    this.compute = compute;
    this.bucketOfSlice = new int[slices.size()];
    for (Bucket bucket : buckets) {
      for (Slice slice : bucket.slices()) {
        byParameter.put(slice.parameter(), slice);
        bucketOfSlice[slice.index()] = bucket.index();
      }
    }
  }

  /**
   * All in one bucket.
   *
   * @param parameters those that train, each once, all of one compute type
   * @param shards ranks that will share the buffers; 1 for none
   * @throws ConfigException where nothing trains
   */
  public static ParameterLayout of(List<Parameter> parameters, int shards) {
    return of(List.of(parameters), shards, Long.MAX_VALUE);
  }

  /**
   * @param units of the model in its order, as milestones on the tape number them: the parameters
   *     of each that train; a unit may have none
   * @param shards ranks that will share the buffers
   * @param bucketBytes units are put together up to this size in the wide type; a larger unit is a
   *     bucket of its own
   * @throws ConfigException where nothing trains
   */
  public static ParameterLayout of(List<List<Parameter>> units, int shards, long bucketBytes) {
    List<Parameter> all = units.stream().flatMap(List::stream).toList();
    DType dtype = requireAlike(all);
    var pen = new Pen(shards, dtype.wide());
    for (int unit = 0; unit < units.size(); unit++) {
      List<Parameter> parameters = units.get(unit);
      if (parameters.isEmpty()) {
        continue;
      }
      if (!pen.open.isEmpty() && pen.openBytes() + pen.bytes(parameters) > bucketBytes) {
        pen.endBucket();
      }
      pen.add(unit, parameters);
    }
    pen.endBucket();
    return new ParameterLayout(pen.buckets, shards, dtype);
  }

  /** Of each unit's parameters those that train; a unit without any stays, empty. */
  public static List<List<Parameter>> trained(List<List<Parameter>> units) {
    return units.stream().map(u -> u.stream().filter(Parameter::requiresGrad).toList()).toList();
  }

  private static DType requireAlike(List<Parameter> parameters) {
    if (parameters.isEmpty()) {
      throw new ConfigException(
          "nothing trains: the stage's roles match no parameter of the model; is it the right"
              + " stage, and was the model extended before finetune?");
    }
    DType dtype = parameters.getFirst().dtype();
    var names = new HashSet<String>();
    for (Parameter parameter : parameters) {
      if (!names.add(parameter.name())) {
        throw new IllegalArgumentException("two parameters are called " + parameter.name());
      }
      if (parameter.dtype() != dtype) {
        throw new IllegalArgumentException(
            "%s trains beside %s parameters".formatted(parameter, dtype));
      }
    }
    return dtype;
  }

  /** Writes slices one after the other and closes buckets. */
  private static final class Pen {
    private final List<Bucket> buckets = new ArrayList<>();
    private final int shards;
    private final DType wide;
    private final long alignment;
    private List<Slice> open = new ArrayList<>();
    private int firstUnit;
    private long from;
    private long next;
    private int index;

    Pen(int shards, DType wide) {
      this.shards = shards;
      this.wide = wide;
      this.alignment = ALIGNMENT_BYTES / wide.bytes();
    }

    long openBytes() {
      return (next - from) * wide.bytes();
    }

    long bytes(List<Parameter> parameters) {
      return parameters.stream().mapToLong(p -> roundUp(p.size(), alignment) * wide.bytes()).sum();
    }

    void add(int unit, List<Parameter> parameters) {
      if (open.isEmpty()) {
        firstUnit = unit;
      }
      for (Parameter parameter : parameters) {
        long to = Math.addExact(next, parameter.size());
        open.add(new Slice(index++, parameter, next, to));
        next = roundUp(to, alignment);
      }
    }

    void endBucket() {
      next = from + roundUp(next - from, (long) PIECE_MULTIPLE * shards);
      buckets.add(new Bucket(buckets.size(), firstUnit, from, next, List.copyOf(open)));
      open = new ArrayList<>();
      from = next;
    }
  }

  private static long roundUp(long value, long multiple) {
    return Math.multiplyExact(Math.ceilDiv(value, multiple), multiple);
  }

  public List<Slice> slices() {
    return slices;
  }

  /** In the order of the forward pass. */
  public List<Bucket> buckets() {
    return buckets;
  }

  /** The bucket that {@code slice} lies in. */
  public Bucket bucket(Slice slice) {
    return buckets.get(bucketOfSlice[slice.index()]);
  }

  /** Elements of the longest bucket. */
  public long longestBucket() {
    return buckets.stream().mapToLong(Bucket::length).max().orElseThrow();
  }

  /** The elements of a bucket that are {@code rank}'s. */
  public Range piece(Bucket bucket, int rank) {
    long each = bucket.length() / shards;
    return new Range(bucket.from() + rank * each, bucket.from() + (rank + 1) * each);
  }

  /** Ranks that share the buffers. */
  public int shards() {
    return shards;
  }

  /**
   * @throws IllegalArgumentException where {@code parameter} does not train
   */
  public Slice slice(Parameter parameter) {
    Slice slice = byParameter.get(parameter);
    if (slice == null) {
      throw new IllegalArgumentException(parameter + " is not among those that train");
    }
    return slice;
  }

  /** Elements of a flat buffer, gaps counted. */
  public long length() {
    return buckets.getLast().to();
  }

  /** Elements that train, gaps not counted. */
  public long trained() {
    return slices.stream().mapToLong(s -> s.to() - s.from()).sum();
  }

  /** Type of the weights. */
  public DType compute() {
    return compute;
  }

  /** Type of gradients, masters and state: F32, or F64 on a model in F64. */
  public DType wide() {
    return compute.wide();
  }
}
