package io.moextend.bench;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.nn.ParameterFactory;
import org.jspecify.annotations.Nullable;

/**
 * Random weights for models that are only timed: a large matrix is one block of random numbers
 * again and again, begun at a place of its own, copied on the device. To draw five thousand million
 * numbers one by one would take minutes. Smaller ones come from {@code fresh} as they are.
 */
final class RepeatedNormals implements ParameterFactory {
  private static final long BLOCK = 1 << 24;

  private final ParameterFactory fresh;
  private final Arena arena;
  private final DType dtype;
  private @Nullable Array block;

  /**
   * @param arena of the weights; the block stays in it
   */
  RepeatedNormals(ParameterFactory fresh, Arena arena, DType dtype) {
    this.fresh = fresh;
    this.arena = arena;
    this.dtype = dtype;
  }

  @Override
  public Backend backend() {
    return fresh.backend();
  }

  @Override
  public Parameter parameter(String name, Parameter.Role role, Init init, long... shape) {
    long size = Array.sizeOf(shape);
    if (init != Init.NORMAL || size <= BLOCK) {
      return fresh.parameter(name, role, init, shape);
    }
    Array from = block();
    Array data = arena.allocate(dtype, shape);
    Array flat = data.reshape(size);
    long at = Math.floorMod(name.hashCode() * 0x9E3779B97F4A7C15L, BLOCK);
    for (long done = 0; done < size; ) {
      long count = Math.min(size - done, BLOCK - at);
      backend().copyInto(flat.slice(done, done + count), from.slice(at, at + count));
      done += count;
      at = 0;
    }
    return new Parameter(name, role, data);
  }

  private Array block() {
    Array known = block;
    if (known == null) {
      known =
          fresh
              .parameter("block of random numbers", Parameter.Role.EXPERT, Init.NORMAL, BLOCK)
              .data();
      block = known;
    }
    return known;
  }

  /** Frees the block, when all parameters are made. */
  void done() {
    if (block != null) {
      arena.free(block);
      block = null;
    }
  }
}
