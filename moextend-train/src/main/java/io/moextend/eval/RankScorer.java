package io.moextend.eval;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.data.prompted.RankRow;
import io.moextend.data.prompted.RankedExample.Scored;
import io.moextend.model.T5;
import io.moextend.model.T5Batch;
import io.moextend.model.T5Loss;
import io.moextend.op.Rows;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/**
 * Scores of choices, some at once. What choices next to each other have as their common input is
 * encoded once; the decoder runs for each.
 */
record RankScorer(Backend backend, T5 model) {
  /**
   * @param rows at least one
   * @return in their order
   */
  List<Scored> scores(List<RankRow> rows) {
    var inputs = new ArrayList<int[]>();
    int[] reads = new int[rows.size()];
    for (int i = 0; i < reads.length; i++) {
      int[] ids = rows.get(i).ids().inputs();
      if (inputs.isEmpty() || !Arrays.equals(inputs.getLast(), ids)) {
        inputs.add(ids);
      }
      reads[i] = inputs.size() - 1;
    }
    T5Batch batch =
        batch(
            padded(rows, row -> row.ids().inputs()),
            padded(rows, row -> row.ids().targets()),
            rows.size());
    try (Arena arena = backend.arena("rank classification")) {
      Tape tape = Tape.off(backend, arena);
      Tensor memory = memory(tape, batch, inputs, reads);
      Tensor decoder = model.decode(tape, batch, memory, T5.Pass.PLAIN);
      double[] scores = T5Loss.scores(tape, model, decoder, batch);
      var scored = new ArrayList<Scored>();
      for (int i = 0; i < scores.length; i++) {
        scored.add(Scored.of(rows.get(i), scores[i]));
      }
      return scored;
    }
  }

  /** What the decoder looks at: [rows·inputLength, hidden], each input's as often as it is read. */
  private Tensor memory(Tape tape, T5Batch batch, List<int[]> inputs, int[] reads) {
    if (inputs.size() == reads.length) {
      return model.encode(tape, batch, T5.Pass.PLAIN);
    }
    int length = batch.inputLength();
    // the encoder looks at no target
    int[] none = new int[inputs.size()];
    T5Batch once = batch(padded(inputs, ids -> ids), none, inputs.size());
    Tensor encoded = model.encode(tape, once, T5.Pass.PLAIN);
    int[] places = new int[reads.length * length];
    Arrays.setAll(places, at -> reads[at / length] * length + at % length);
    Array from = backend.ints(tape.arena(), places, places.length);
    return Rows.gather(tape, encoded, from);
  }

  private T5Batch batch(int[] inputs, int[] targets, int rows) {
    return T5Batch.plain(rows, inputs, targets, model.config().tokens().start());
  }

  private <T> int[] padded(List<T> rows, Function<T, int[]> ids) {
    int length = rows.stream().mapToInt(row -> ids.apply(row).length).max().orElseThrow();
    int[] all = new int[Math.multiplyExact(rows.size(), length)];
    Arrays.fill(all, model.config().tokens().pad());
    for (int i = 0; i < rows.size(); i++) {
      int[] own = ids.apply(rows.get(i));
      System.arraycopy(own, 0, all, i * length, own.length);
    }
    return all;
  }
}
