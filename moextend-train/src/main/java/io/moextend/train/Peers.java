package io.moextend.train;

/** The other ranks, as far as the loop needs them. Every rank calls the same in the same order. */
public interface Peers {
  /** From 0; rank 0 writes what is written once. */
  int rank();

  int world();

  /**
   * What every rank gave, each as many values.
   *
   * @return [world][values], the same bits on each rank
   */
  double[][] gather(double... values);

  /** Element by element over all ranks, added in their order. */
  default double[] mean(double[] values) {
    double[] mean = new double[values.length];
    for (double[] one : gather(values)) {
      for (int i = 0; i < mean.length; i++) {
        mean[i] += one[i];
      }
    }
    for (int i = 0; i < mean.length; i++) {
      mean[i] /= world();
    }
    return mean;
  }

  /** Returns when every rank has called it. */
  void barrier();

  /** A run of one rank. */
  Peers NONE =
      new Peers() {
        @Override
        public int rank() {
          return 0;
        }

        @Override
        public int world() {
          return 1;
        }

        @Override
        public double[][] gather(double... values) {
          return new double[][] {values};
        }

        @Override
        public void barrier() {}
      };
}
