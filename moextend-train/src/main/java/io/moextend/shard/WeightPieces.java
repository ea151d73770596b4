package io.moextend.shard;

import io.moextend.array.Array;
import io.moextend.shard.ParameterLayout.Bucket;
import org.jspecify.annotations.Nullable;

/** Which weights are not whole on any rank, and where a rank has its piece of them. */
@FunctionalInterface
public interface WeightPieces {
  /**
   * @return this rank's piece of the bucket's weights, in the compute type and of the length of
   *     {@link ParameterLayout#piece}; null where every rank has them whole
   */
  @Nullable Array of(Bucket bucket);

  /** Every rank has all weights whole. */
  WeightPieces NONE = bucket -> null;
}
