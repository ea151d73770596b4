package io.moextend.backend;

import io.moextend.array.Array;

/**
 * Where each routed row goes, on the device. Rows are sorted by expert, and within one expert by
 * token, so that an expert's rows are neighbours.
 *
 * @param chosen [tokens, topK] I32, the experts of each token
 * @param source [tokens·topK] I32, the token a routed row came from
 * @param slot [tokens·topK] I32, the routed row of choice (token, j), at token·topK + j
 * @param offsets [experts + 1] I32, where each expert's rows begin; the last is tokens·topK
 */
public record Dispatch(
    Array chosen, Array source, Array slot, Array offsets, int tokens, int topK, int experts) {
  public int rows() {
    return tokens * topK;
  }
}
