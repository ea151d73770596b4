package io.moextend.shard;

import io.moextend.array.Array;
import io.moextend.autograd.GradientSink;
import io.moextend.shard.ParameterLayout.Bucket;
import io.moextend.shard.ParameterLayout.Range;
import java.util.BitSet;

/**
 * Takes a rank's gradients and turns them into the sums over all ranks, while the backward pass
 * goes on where it can.
 */
sealed interface GradientExchange extends GradientSink, AutoCloseable
    permits WholeGradients, PassingGradients {
  /** A micro-batch begins; hands over first what is left of the one before. */
  void begin(boolean last);

  /** Hands over what no milestone has; nothing where nothing is left. */
  void rest();

  /** Returns when the sums of all micro-batches are there. */
  void finish();

  /** The sums after {@link #finish}, wide. {@code range} lies within what this rank keeps. */
  Array sum(Bucket bucket, Range range);

  /** Slices that got a gradient on this rank since the last {@link #clear}, be it 0. */
  BitSet touched();

  /** Forgets all gradients. */
  void clear();

  @Override
  void close();
}
