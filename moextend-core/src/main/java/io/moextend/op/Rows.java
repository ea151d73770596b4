package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Rows taken, replaced and put below each other. Row numbers are I32 arrays. */
public final class Rows {
  private Rows() {}

  /** No row of a table. */
  public static final int NONE = -1;

  /** y[r] = table[rows[r]]. table [V, H], rows [R]; the gradient of a row adds up over its uses. */
  public static Tensor gather(Tape tape, Tensor table, Array rows) {
    return gather(tape, table, rows, NONE);
  }

  /**
   * As above.
   *
   * @param untrained a row that gets no gradient (torch's padding_idx), or {@link #NONE}
   */
  public static Tensor gather(Tape tape, Tensor table, Array rows, int untrained) {
    Array y = tape.backend().gatherRows(tape.arena(), table.data(), rows);
    long tableRows = table.data().dim(0);
    return tape.record(
        "gatherRows",
        y,
        List.of(table),
        List.of(rows),
        dY -> {
          Array wide = tape.backend().scatterRows(tape.arena(), dY, rows, tableRows);
          if (untrained >= 0 && untrained < tableRows) {
            tape.backend().fillInto(wide.slice(untrained, untrained + 1L), 0);
          }
          // a weight takes its gradient wide, an activation in its own type
          return List.of(table instanceof Parameter ? wide : Cast.array(tape, wide, dY.dtype()));
        });
  }

  /** A copy of x [T, H] whose rows {@code rows} [R] are those of values [R, H]. */
  public static Tensor replace(Tape tape, Tensor x, Array rows, Tensor values) {
    Array y = tape.backend().replaceRows(tape.arena(), x.data(), rows, values.data());
    return tape.record(
        "replaceRows",
        y,
        List.of(x, values),
        List.of(rows),
        dY ->
            Arrays.asList(
                x.requiresGrad() ? tape.backend().clearRows(tape.arena(), dY, rows) : null,
                values.requiresGrad() ? tape.backend().gatherRows(tape.arena(), dY, rows) : null));
  }

  /** A copy of x [T, H] whose rows {@code rows} [R] are zero. */
  public static Tensor clear(Tape tape, Tensor x, Array rows) {
    Array y = tape.backend().clearRows(tape.arena(), x.data(), rows);
    return tape.record(
        "clearRows",
        y,
        List.of(x),
        List.of(rows),
        dY -> List.of(tape.backend().clearRows(tape.arena(), dY, rows)));
  }

  /** One below the other: [R_i, N] each to [sum of R_i, N]. */
  public static Tensor join(Tape tape, List<Tensor> parts) {
    Array y = tape.backend().joinRows(tape.arena(), parts.stream().map(Tensor::data).toList());
    return tape.record(
        "joinRows",
        y,
        parts,
        List.of(),
        dY -> {
          var gradients = new ArrayList<@Nullable Array>();
          long from = 0;
          for (Tensor part : parts) {
            long until = from + part.data().dim(0);
            gradients.add(part.requiresGrad() ? dY.slice(from, until) : null);
            from = until;
          }
          return gradients;
        });
  }
}
