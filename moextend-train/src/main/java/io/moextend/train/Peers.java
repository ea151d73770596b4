package io.moextend.train;

/** The other ranks, as far as the loop needs them. Every rank calls the same in the same order. */
public interface Peers {
  /** From 0; rank 0 writes what is written once. */
  int rank();

  int world();

  /**
   * What every rank gave, each as many values.
   *
   * @param what the values are, for who looks after ranks that wait
   * @return [world][values], the same bits on each rank
   */
  double[][] gather(String what, double... values);

  /** Returns when every rank has called it. */
  default void barrier(String what) {
    gather(what, 0);
  }

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
        public double[][] gather(String what, double... values) {
          return new double[][] {values.clone()};
        }
      };
}
