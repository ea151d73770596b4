package io.moextend.train;

/** The other ranks, as far as the loop needs them. Every rank calls the same in the same order. */
public interface Peers {
  /** From 0; rank 0 writes what is written once. */
  int rank();

  int world();

  /** Element by element over all ranks; the same bits on each. */
  double[] mean(double[] values);

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
        public double[] mean(double[] values) {
          return values;
        }

        @Override
        public void barrier() {}
      };
}
