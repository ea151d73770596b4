package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Columns taken, and put side by side. */
public final class Columns {
  private Columns() {}

  /** Columns from (inclusive) to until (exclusive). x [R, N]; @return [R, until - from] */
  public static Tensor take(Tape tape, Tensor x, long from, long until) {
    Array y = tape.backend().columns(tape.arena(), x.data(), from, until);
    long after = x.data().dim(1) - until;
    return tape.record(
        "columns",
        y,
        List.of(x),
        List.of(),
        dY ->
            List.of(
                tape.backend()
                    .joinColumns(
                        tape.arena(), List.of(zeros(tape, dY, from), dY, zeros(tape, dY, after)))));
  }

  /**
   * Cut into neighbours.
   *
   * @param widths of all of them, from the left
   */
  public static List<Tensor> split(Tape tape, Tensor x, long... widths) {
    Array all = x.data();
    var outs = new ArrayList<Array>();
    long from = 0;
    for (long width : widths) {
      outs.add(tape.backend().columns(tape.arena(), all, from, from + width));
      from += width;
    }
    all.require("x", -1, from);
    long rows = all.dim(0);
    return tape.recordAll(
        "splitColumns", outs, List.of(x), List.of(), d -> List.of(rejoined(tape, d, rows, widths)));
  }

  private static Array rejoined(Tape tape, @Nullable Array[] d, long rows, long[] widths) {
    var parts = new ArrayList<Array>();
    for (int i = 0; i < widths.length; i++) {
      Array there = d[i];
      parts.add(there == null ? blank(tape, d, rows, widths[i]) : there);
    }
    return tape.backend().joinColumns(tape.arena(), parts);
  }

  private static Array blank(Tape tape, @Nullable Array[] d, long rows, long width) {
    DType type =
        Arrays.stream(d).filter(Objects::nonNull).findFirst().map(Array::dtype).orElseThrow();
    Array zeros = tape.arena().allocate(type, rows, width);
    tape.backend().fillInto(zeros, 0);
    return zeros;
  }

  /** Columns from (inclusive) to until: x itself where these are all. */
  static Array array(Tape tape, Array x, long from, long until) {
    return from == 0 && until == x.dim(1)
        ? x
        : tape.backend().columns(tape.arena(), x, from, until);
  }

  private static Array zeros(Tape tape, Array like, long width) {
    Array zeros = tape.arena().allocate(like.dtype(), like.dim(0), width);
    tape.backend().fillInto(zeros, 0);
    return zeros;
  }

  /** Side by side: [R, N_i] each to [R, sum of N_i]. */
  public static Tensor join(Tape tape, List<Tensor> parts) {
    Array y = tape.backend().joinColumns(tape.arena(), parts.stream().map(Tensor::data).toList());
    return tape.record(
        "joinColumns",
        y,
        parts,
        List.of(),
        dY -> {
          var gradients = new ArrayList<@Nullable Array>();
          long from = 0;
          for (Tensor part : parts) {
            long until = from + part.data().dim(1);
            gradients.add(
                part.requiresGrad() ? tape.backend().columns(tape.arena(), dY, from, until) : null);
            from = until;
          }
          return gradients;
        });
  }
}
