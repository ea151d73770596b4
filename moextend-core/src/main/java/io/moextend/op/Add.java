package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import java.util.Arrays;
import java.util.List;

/** Sums: of two arrays, with a factor, or with rows that repeat. */
public final class Add {
  private Add() {}

  /** a + b, of one shape and type. */
  public static Tensor apply(Tape tape, Tensor a, Tensor b) {
    Array y = tape.backend().add(tape.arena(), a.data(), b.data());
    return tape.record(
        "add",
        y,
        List.of(a, b),
        List.of(),
        dY -> Arrays.asList(a.requiresGrad() ? dY : null, b.requiresGrad() ? dY : null));
  }

  /** a + s·b, of one type. */
  public static Tensor scaled(Tape tape, Tensor a, Tensor b, double s) {
    Array y = tape.backend().addScaled(tape.arena(), a.data(), b.data(), s);
    return tape.record(
        "addScaled",
        y,
        List.of(a, b),
        List.of(),
        dY ->
            Arrays.asList(
                a.requiresGrad() ? dY : null,
                b.requiresGrad() ? tape.backend().scale(tape.arena(), dY, s) : null));
  }

  /** Adds rows [P, H] to each group of P rows of x [N·P, H]: position embeddings of N images. */
  public static Tensor repeated(Tape tape, Tensor x, Tensor rows) {
    Array y = tape.backend().addRepeated(tape.arena(), x.data(), rows.data());
    long period = rows.data().dim(0);
    return tape.record(
        "addRepeated",
        y,
        List.of(x, rows),
        List.of(),
        dY ->
            Arrays.asList(
                x.requiresGrad() ? dY : null,
                rows.requiresGrad() ? tape.backend().sumRepeated(tape.arena(), dY, period) : null));
  }
}
