package io.moextend.stage;

import io.moextend.autograd.Parameter.Role;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.Scheme;
import io.moextend.model.Decoder;

/**
 * How many numbers a model has, and how many of them one token goes through: all but the experts it
 * does not visit. Tower and projector count in both, as papers count them.
 *
 * @param all elements of every tensor
 * @param activated those that one token meets, embedding table and all routers among them
 */
public record ActivatedParameters(long all, long activated) {
  /** Of a model whose experts, if it has any, stand beside each other as MoIIE's do. */
  public static ActivatedParameters of(Decoder model) {
    long[] counted = new long[2];
    model.visit(p -> counted[p.role() == Role.EXPERT ? 1 : 0] += p.size());
    long visited =
        model.config().feedForward() instanceof FeedForwardConfig.Mixed mixed
            ? visited(counted[1], mixed.scheme())
            : counted[1];
    return new ActivatedParameters(counted[0] + counted[1], counted[0] + visited);
  }

  /** All experts are of one size. */
  private static long visited(long experts, Scheme scheme) {
    return experts / scheme.experts() * scheme.topK();
  }
}
