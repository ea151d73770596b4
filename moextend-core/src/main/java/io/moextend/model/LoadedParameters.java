package io.moextend.model;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.nn.ParameterFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Parameters from a checkpoint, strict in names and shapes. Frozen ones of the compute type stay
 * where the file is mapped; trained ones are copied. The source must stay open as long as the model
 * lives.
 */
public final class LoadedParameters implements ParameterFactory {
  /** What old checkpoints carry and nobody reads: buffers, and of a T5 its embedding again. */
  private static final List<String> DERIVED =
      List.of(
          ".rotary_emb.inv_freq",
          ".position_ids",
          "encoder.embed_tokens.weight",
          "decoder.embed_tokens.weight",
          ".EncDecAttention.relative_attention_bias.weight");

  private final WeightSource source;
  private final Backend backend;
  private final Arena arena;
  private final DType dtype;
  private final ParameterChoice trained;
  private final ParameterFactory fresh;
  private final Set<Role> mayBeFresh;
  private final ParameterChoice sharded;
  private final Set<String> read = new HashSet<>();
  private final List<String> initialised = new ArrayList<>();

  /**
   * @param arena owns what is copied; lives as long as the model
   * @param dtype compute type
   * @param trained roles that this run trains
   * @param fresh where absent tensors of the roles {@code mayBeFresh} come from
   */
  public LoadedParameters(
      WeightSource source,
      Backend backend,
      Arena arena,
      DType dtype,
      Set<Role> trained,
      ParameterFactory fresh,
      Set<Role> mayBeFresh) {
    this(
        source,
        backend,
        arena,
        dtype,
        ParameterChoice.of(trained),
        fresh,
        mayBeFresh,
        ParameterChoice.NONE);
  }

  /**
   * As above, for ranks that share layers.
   *
   * @param trained what this run trains
   * @param sharded whose matrices in decoder layers come and go: they are left as the file has
   *     them, for who shards them to take over
   */
  public LoadedParameters(
      WeightSource source,
      Backend backend,
      Arena arena,
      DType dtype,
      ParameterChoice trained,
      ParameterFactory fresh,
      Set<Role> mayBeFresh,
      ParameterChoice sharded) {
    this.source = source;
    this.backend = backend;
    this.arena = arena;
    this.dtype = dtype;
    this.trained = trained;
    this.fresh = fresh;
    this.mayBeFresh = mayBeFresh;
    this.sharded = sharded;
  }

  @Override
  public Backend backend() {
    return backend;
  }

  @Override
  public Parameter parameter(String name, Role role, Init init, long... shape) {
    if (!source.names().contains(name)) {
      if (!mayBeFresh.contains(role)) {
        throw new CheckpointException(
            "%s has no tensor %s; is this the checkpoint of another stage, or a delta without its base?"
                .formatted(source.origin(), name));
      }
      initialised.add(name);
      return fresh.parameter(name, role, init, shape);
    }
    read.add(name);
    TensorData data = source.tensor(name);
    if (!Arrays.equals(data.shape(), shape)) {
      throw new CheckpointException(
          "%s: tensor %s wants %s but the file has %s; do config.json and the weights belong together?"
              .formatted(
                  source.origin(), name, Arrays.toString(shape), Arrays.toString(data.shape())));
    }
    if (!data.dtype().isFloating()) {
      throw new CheckpointException(
          "%s: tensor %s is %s; weights must be floating"
              .formatted(source.origin(), name, data.dtype()));
    }
    Parameter parameter = placed(data, role);
    parameter.trainable(trained.has(name, role));
    return parameter;
  }

  private Parameter placed(TensorData data, Role role) {
    String name = data.name();
    String origin = source.origin() + ": " + name;
    Array wrapped = backend.wrap(arena, data.dtype(), data.bytes(), data.shape());
    boolean passes =
        sharded.has(name, role)
            && role != Role.ADAPTER // small, and no weight of a layer's
            && data.shape().length > 1
            && inLayer(name);
    return passes
        ? Parameter.passing(name, role, wrapped, dtype, origin)
        : new Parameter(name, role, kept(data, wrapped, trained.has(name, role), origin), origin);
  }

  private static boolean inLayer(String name) {
    return DecoderNames.inLayer(name) || T5Names.inLayer(name);
  }

  private Array kept(TensorData data, Array wrapped, boolean writable, String origin) {
    if (data.dtype() != dtype) {
      Array converted =
          writable
              ? backend.cast(arena, wrapped, dtype)
              : backend.frozenCast(arena, wrapped, dtype, origin);
      arena.free(wrapped);
      return converted;
    }
    if (writable && !arena.owns(wrapped)) {
      Array copy = arena.allocate(dtype, data.shape());
      backend.copyInto(copy, wrapped);
      return copy;
    }
    return wrapped;
  }

  /** Names that were absent and started fresh; the user is told. */
  public List<String> initialised() {
    return List.copyOf(initialised);
  }

  /**
   * To be called when the model is built: a tensor nobody read means a config that does not fit.
   */
  public void requireAllRead() {
    var left = new TreeSet<>(source.names());
    left.removeAll(read);
    left.removeIf(name -> DERIVED.stream().anyMatch(name::endsWith));
    if (!left.isEmpty()) {
      throw new CheckpointException(
          "%s has %d tensors that config.json does not ask for, first %s; do they belong together?"
              .formatted(source.origin(), left.size(), left.first()));
    }
  }
}
