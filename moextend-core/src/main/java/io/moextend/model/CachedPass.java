package io.moextend.model;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.nn.Lookup;
import java.util.ArrayList;
import java.util.List;

/**
 * A pass over tokens that follow those in caches, one cache a sequence. A pass that fails leaves
 * the caches as they were.
 *
 * @param length new tokens of each sequence
 */
record CachedPass(List<KeyValueCache> caches, int length) {
  static CachedPass of(ModelInput input, List<KeyValueCache> caches) {
    if (caches.size() != input.batch()) {
      throw new IllegalArgumentException(
          "%d caches for %d sequences".formatted(caches.size(), input.batch()));
    }
    if (input.mask() != null) {
      throw new IllegalArgumentException(
          "a mask on a pass with caches; give sequences of different lengths caches of their own and no padding");
    }
    caches.forEach(cache -> cache.require(input.length()));
    return new CachedPass(List.copyOf(caches), input.length());
  }

  /** Of each token, in its sequence. */
  int[] positions() {
    int[] positions = new int[caches.size() * length];
    for (int i = 0; i < positions.length; i++) {
      positions[i] = caches.get(i / length).length() + i % length;
    }
    return positions;
  }

  /** Of each token's sequence, the new tokens with it. */
  int[] lengths() {
    int[] lengths = new int[caches.size() * length];
    for (int i = 0; i < lengths.length; i++) {
      lengths[i] = caches.get(i / length).length() + length;
    }
    return lengths;
  }

  /** What the queries of one layer see. */
  Lookup in(int layer, Attention shape) {
    return (tape, q, k, v) -> {
      KeyValueCache.requireConstant(q, k, v);
      return Tensor.constant(attend(tape, layer, shape, q.data(), k.data(), v.data()));
    };
  }

  private Array attend(Tape tape, int layer, Attention shape, Array q, Array k, Array v) {
    if (caches.size() == 1) {
      return caches.getFirst().attend(tape, layer, shape, q, k, v, null);
    }
    var outs = new ArrayList<Array>();
    for (int i = 0; i < caches.size(); i++) {
      long from = (long) i * length;
      long until = from + length;
      outs.add(
          caches
              .get(i)
              .attend(
                  tape,
                  layer,
                  shape,
                  q.slice(from, until),
                  k.slice(from, until),
                  v.slice(from, until),
                  null));
    }
    return tape.backend().joinRows(tape.arena(), outs);
  }

  void finish() {
    caches.forEach(cache -> cache.advance(length));
  }
}
