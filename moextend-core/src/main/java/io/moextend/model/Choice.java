package io.moextend.model;

import io.moextend.array.Array;

/**
 * Which experts each token of a batch visits in one mixture layer, also where nothing is learnt of
 * it; for statistics. All T tokens have a row, padding too.
 *
 * @param layer index of the decoder layer
 * @param chosen [T, k] I32, experts, the router's first choice first
 * @param weights [T, k] wide, what each expert's result is multiplied with; a row adds up to 1
 */
public record Choice(int layer, Array chosen, Array weights) {}
