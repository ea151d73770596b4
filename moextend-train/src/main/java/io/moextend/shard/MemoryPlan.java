package io.moextend.shard;

import io.moextend.array.DType;
import io.moextend.optim.UpdateRule;

/**
 * Bytes that {@link ShardedOptimizer} takes on one rank, as long as it lives; on a device that does
 * not work on the host's memory in place, what is exchanged takes as much on the host besides. Not
 * counted: gradients that come ahead of their turn, such as a tied head's, until that comes.
 *
 * @param gradients sums of gradients; where they are exchanged in place, buffers of the collective
 * @param masters wide copies of what this rank updates
 * @param state the update rule's
 * @param exchange buckets on their way as gradients
 * @param gather buckets on their way as weights
 */
public record MemoryPlan(long gradients, long masters, long state, long exchange, long gather) {
  /**
   * @param layout made for as many shards as there will be ranks
   * @param payload type that gradients travel in
   */
  public static MemoryPlan of(
      ParameterLayout layout, ZeroStage stage, UpdateRule rule, DType payload) {
    long wide = layout.wide().bytes();
    long all = layout.length() * wide;
    long piece = all / layout.shards();
    long held = stage.sharesState() ? piece : all;
    boolean narrow = payload != layout.wide();
    long passing = Slots.count(layout) * layout.longestBucket();
    long exchange = stage.sharesGradients() || narrow ? passing * payload.bytes() : 0;
    if (stage.sharesGradients() && narrow) {
      exchange += layout.longestBucket() * wide;
    }
    return new MemoryPlan(
        stage.sharesGradients() ? piece : all,
        held,
        RuleState.bytes(layout, held / wide, rule),
        exchange,
        stage.sharesState() ? passing * layout.compute().bytes() : 0);
  }

  public long total() {
    return gradients + masters + state + exchange + gather;
  }
}
