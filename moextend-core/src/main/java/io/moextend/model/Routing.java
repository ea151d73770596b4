package io.moextend.model;

import io.moextend.array.Array;
import io.moextend.autograd.Tensor;

/**
 * What one mixture layer's router said of a batch, for the balance loss and for reports.
 *
 * @param layer index of the decoder layer
 * @param logits [T, E] wide
 * @param probabilities [T, E] wide
 * @param chosen [T, k] I32
 */
public record Routing(int layer, Tensor logits, Tensor probabilities, Array chosen) {}
