package io.moextend.train;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import java.util.ArrayList;
import java.util.List;

/**
 * Finds where a gradient stopped being a number: runs a step's micro-batches once more and looks at
 * each gradient by itself. Costs nothing as long as all goes well, and needs no weight but those of
 * the step, which were not updated.
 */
final class GradientSearch<B> {
  private static final int MOST = 20; // named; where one is wrong, most are

  private final Backend backend;
  private final Objective<B> objective;
  private final BatchSource<B> batches;

  GradientSearch(Backend backend, Objective<B> objective, BatchSource<B> batches) {
    this.backend = backend;
    this.objective = objective;
    this.batches = batches;
  }

  /**
   * On every rank at once.
   *
   * @param from where the step's data began; where it ends the source is left
   * @return micro-batch and parameter of this rank's gradients that are no numbers
   */
  List<String> wrong(BatchSource.Position from, int microBatches, double scale) {
    var found = new ArrayList<String>();
    batches.seek(from);
    for (int i = 0; i < microBatches; i++) {
      String where = "micro-batch %d: ".formatted(i + 1);
      objective.backpropagate(
          (parameter, gradient) -> look(where, parameter, gradient, found), batches.next(), scale);
    }
    return found;
  }

  private void look(String where, Parameter parameter, Array gradient, List<String> found) {
    if (found.size() < MOST) {
      try (Arena scratch = backend.arena("gradient search")) {
        double squares = backend.toDouble(backend.sumOfSquares(scratch, gradient));
        if (!Double.isFinite(squares)) {
          found.add(where + parameter.name());
        }
      }
    }
  }
}
