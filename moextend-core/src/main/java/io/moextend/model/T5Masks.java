package io.moextend.model;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.Sight;
import io.moextend.config.T5Config;
import io.moextend.nn.Lookup;
import java.util.Arrays;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Who sees whom in a batch, and which rows are padding.
 *
 * <p>The original adds -1e10 to hidden scores, which swallows them in float32: a query that sees
 * nothing gives the mean of all values. That reaches nothing but the logits of padding. Hugging
 * Face hides padded inputs as keys and nothing else ({@link T5Batch#openPadding}).
 */
final class T5Masks {
  private final Tape tape;
  private final T5Config config;
  private final T5Batch batch;
  private final Array inputs;
  private final Array targets;

  T5Masks(Tape tape, T5Config config, T5Batch batch) {
    this.tape = tape;
    this.config = config;
    this.batch = batch;
    this.inputs = numbers(batch.inputs(), batch.inputSegments(), batch.inputLength());
    this.targets =
        batch.openPadding()
            ? every(batch.targetLength())
            : numbers(batch.targets(), batch.targetSegments(), batch.targetLength());
  }

  T5Layer.Context encoder() {
    return new T5Layer.Context(
        batch.inputLength(),
        rows(at -> batch.inputs()[at] == pad() && !batch.openPadding(), batch.inputs().length),
        view(batch.inputLength(), batch.inputLength(), inputs, inputs, false),
        null,
        null);
  }

  T5Layer.Context decoder() {
    int length = batch.targetLength();
    return new T5Layer.Context(
        length,
        rows(at -> !kept(at), batch.decoderInputs().length),
        view(length, length, targets, targets, true),
        view(length, batch.inputLength(), targets, inputs, false),
        null);
  }

  /** A start token is kept where a real token follows it, as at the start of a segment. */
  private boolean kept(int at) {
    int[] ids = batch.decoderInputs();
    int place = at % batch.targetLength();
    boolean next = place + 1 < batch.targetLength() && ids[at + 1] != pad();
    return batch.openPadding() || place == 0 || ids[at] != pad() || next;
  }

  private T5Layer.View view(int queries, int keys, Array ofQueries, Array ofKeys, boolean causal) {
    var shape =
        new Attention(
            batch.rows(),
            queries,
            keys,
            config.heads(),
            config.heads(),
            config.headSize(),
            1,
            causal,
            0);
    var sight = new Sight(ofKeys, batch.openPadding() ? null : ofQueries, true);
    return bias -> Lookup.within(shape, sight, bias);
  }

  /** [rows, length] U8: 0 at padding, elsewhere the segment, or 1. */
  private Array numbers(int[] ids, int @Nullable [] segments, int length) {
    byte[] numbers = new byte[ids.length];
    for (int i = 0; i < ids.length; i++) {
      numbers[i] = ids[i] == pad() ? 0 : segments == null ? 1 : (byte) segments[i];
    }
    return tape.backend().bytes(tape.arena(), numbers, batch.rows(), length);
  }

  private Array every(int length) {
    byte[] ones = new byte[batch.rows() * length];
    Arrays.fill(ones, (byte) 1);
    return tape.backend().bytes(tape.arena(), ones, batch.rows(), length);
  }

  private @Nullable Array rows(IntPredicate which, int count) {
    int[] found = IntStream.range(0, count).filter(which).toArray();
    return found.length == 0 ? null : tape.backend().ints(tape.arena(), found, found.length);
  }

  private int pad() {
    return config.tokens().pad();
  }
}
