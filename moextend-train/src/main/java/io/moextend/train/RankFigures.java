package io.moextend.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * What each rank tells the others once a step, before the update.
 *
 * @param losses of its own micro-batches
 * @param stop it was asked to leave
 * @param peakBytes most memory its device ever gave out
 */
record RankFigures(Losses losses, boolean stop, long peakBytes) {
  /** Every rank's, in their order; the same on each. */
  static List<RankFigures> gather(Peers peers, int step, RankFigures own) {
    double[] losses = own.losses.values();
    double[] values = Arrays.copyOf(losses, losses.length + 2);
    values[losses.length] = own.stop ? 1 : 0;
    values[losses.length + 1] = own.peakBytes;
    var all = new ArrayList<RankFigures>();
    for (double[] one : peers.gather("losses of step " + step, values)) {
      all.add(
          new RankFigures(
              Losses.ofValues(one), one[losses.length] > 0, (long) one[losses.length + 1]));
    }
    return all;
  }

  static List<Integer> withoutFiniteLoss(List<RankFigures> all) {
    return IntStream.range(0, all.size())
        .filter(rank -> !all.get(rank).losses.finite())
        .boxed()
        .toList();
  }
}
