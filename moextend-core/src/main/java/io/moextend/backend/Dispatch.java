package io.moextend.backend;

import io.moextend.array.Array;

/**
 * Where each routed row goes, on the device. Rows are sorted by expert, and within one expert by
 * token, so that an expert's rows are neighbours. A backend whose products want groups of even
 * sizes may end an expert's rows with a few of zeros, which no token reads.
 *
 * @param chosen [tokens, topK] I32, the experts of each token
 * @param source [rows] I32, the token a routed row came from; -1 where it is filled with zeros
 * @param slot [tokens·topK] I32, the routed row of choice (token, j), at token·topK + j
 * @param offsets [experts + 1] I32, where each expert's rows begin; the last is rows
 */
public record Dispatch(
    Array chosen, Array source, Array slot, Array offsets, int tokens, int topK, int experts) {
  /** tokens·topK, and rows of zeros where there are any. */
  public int rows() {
    return Math.toIntExact(source.dim(0));
  }
}
