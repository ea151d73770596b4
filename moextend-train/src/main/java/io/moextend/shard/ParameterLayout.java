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
 * order is the model's own; every slice starts at a multiple of 64 bytes, and the whole divides
 * evenly among the shards. What lies between slices is 0 and stays 0.
 */
public final class ParameterLayout {
  private static final int ALIGNMENT_BYTES = 64;

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

    /** Biases and norms (whatever has one dimension) are spared by weight decay, as in HF. */
    public boolean decays() {
      return parameter.rank() > 1 && !parameter.name().endsWith("bias");
    }
  }

  private final List<Slice> slices;
  private final Map<Parameter, Slice> byParameter = new IdentityHashMap<>();
  private final long length;
  private final DType wide;

  private ParameterLayout(List<Slice> slices, long length, DType wide) {
    this.slices = List.copyOf(slices);
    this.length = length;
    this.wide = wide;
    slices.forEach(s -> byParameter.put(s.parameter(), s));
  }

  /**
   * @param parameters those that train, each once, all of one compute type
   * @param shards ranks that will share the buffers; 1 for none
   * @throws ConfigException where nothing trains
   */
  public static ParameterLayout of(List<Parameter> parameters, int shards) {
    if (parameters.isEmpty()) {
      throw new ConfigException(
          "nothing trains: the stage's roles match no parameter of the model; is it the right"
              + " stage, and was the model extended before finetune?");
    }
    DType dtype = parameters.getFirst().dtype();
    long alignment = ALIGNMENT_BYTES / dtype.wide().bytes();
    var slices = new ArrayList<Slice>();
    var names = new HashSet<String>();
    long next = 0;
    for (Parameter parameter : parameters) {
      if (!names.add(parameter.name())) {
        throw new IllegalArgumentException("two parameters are called " + parameter.name());
      }
      if (parameter.dtype() != dtype) {
        throw new IllegalArgumentException(
            "%s trains beside %s parameters".formatted(parameter, dtype));
      }
      long to = Math.addExact(next, parameter.size());
      slices.add(new Slice(slices.size(), parameter, next, to));
      next = roundUp(to, alignment);
    }
    return new ParameterLayout(slices, roundUp(next, alignment * shards), dtype.wide());
  }

  private static long roundUp(long value, long multiple) {
    return Math.multiplyExact(Math.ceilDiv(value, multiple), multiple);
  }

  public List<Slice> slices() {
    return slices;
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
    return length;
  }

  /** Elements that train, gaps not counted. */
  public long trained() {
    return slices.stream().mapToLong(s -> s.to() - s.from()).sum();
  }

  /** Type of gradients, masters and state: F32, or F64 on a model in F64. */
  public DType wide() {
    return wide;
  }
}
