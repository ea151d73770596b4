package io.moextend.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/** Samples of a {@link TinyTask} from a seed, in another order each epoch. */
final class TinyBatches implements BatchSource<TinyTask.Rows> {
  private final float[][] x;
  private final int[] targets;
  private final int size;
  private final long seed;
  private Position position = new Position(0, 0);

  /**
   * @param size samples of a batch; divides {@code samples}
   */
  TinyBatches(int samples, int size, long seed) {
    this.size = size;
    this.seed = seed;
    this.x = new float[samples][TinyTask.IN];
    this.targets = new int[samples];
    var random = new Random(seed);
    for (int i = 0; i < samples; i++) {
      for (int j = 0; j < TinyTask.IN; j++) {
        x[i][j] = (float) random.nextGaussian();
      }
      targets[i] = (x[i][0] > 0 ? 1 : 0) + (x[i][1] > 0 ? 2 : 0);
    }
  }

  @Override
  public TinyTask.Rows next() {
    List<Integer> order = new ArrayList<>(IntStream.range(0, targets.length).boxed().toList());
    Collections.shuffle(order, new Random(seed * 31 + position.epoch()));
    int from = (int) position.offset() * size;
    List<Integer> chosen = order.subList(from, from + size);
    boolean last = from + size == targets.length;
    position =
        last
            ? new Position(position.epoch() + 1, 0)
            : new Position(position.epoch(), position.offset() + 1);
    return rows(chosen.stream().mapToInt(Integer::intValue).toArray());
  }

  /** The given samples as one batch. */
  TinyTask.Rows rows(int... chosen) {
    float[] flat = new float[chosen.length * TinyTask.IN];
    for (int i = 0; i < chosen.length; i++) {
      System.arraycopy(x[chosen[i]], 0, flat, i * TinyTask.IN, TinyTask.IN);
    }
    return new TinyTask.Rows(
        flat,
        Arrays.stream(chosen).map(i -> targets[i]).toArray(),
        false,
        Arrays.stream(chosen).mapToObj(i -> "sample-" + i).toList());
  }

  @Override
  public Position position() {
    return position;
  }

  @Override
  public void seek(Position to) {
    position = to;
  }

  @Override
  public List<String> samples(TinyTask.Rows batch) {
    return batch.samples();
  }
}
