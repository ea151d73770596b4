package io.moextend.train;

import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Two ranks that are threads of one process. */
final class TwoRanks {
  private final CyclicBarrier barrier = new CyclicBarrier(2);
  private final double[][] given = new double[2][];

  /** What one of them sees. */
  Peers rank(int rank) {
    return new Peers() {
      @Override
      public int rank() {
        return rank;
      }

      @Override
      public int world() {
        return 2;
      }

      @Override
      public double[] mean(double[] values) {
        given[rank] = values;
        barrier();
        double[] mean = new double[values.length];
        for (int i = 0; i < mean.length; i++) {
          mean[i] = (given[0][i] + given[1][i]) / 2;
        }
        barrier();
        return mean;
      }

      @Override
      public void barrier() {
        try {
          barrier.await(30, TimeUnit.SECONDS);
        } catch (InterruptedException | BrokenBarrierException | TimeoutException e) {
          throw new IllegalStateException("rank " + rank + " waits for the other in vain", e);
        }
      }
    };
  }
}
