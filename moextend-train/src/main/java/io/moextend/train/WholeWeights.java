package io.moextend.train;

/**
 * Sees to it that every rank has the weights that train whole while something is done that reads
 * them. Every rank calls it at once.
 */
@FunctionalInterface
public interface WholeWeights {
  void during(Runnable work);

  /** They are whole all the time. */
  WholeWeights ALWAYS = Runnable::run;
}
